"""Kernels of banded matrices, by way of interpolation and adaptive pooling, against torch and the definition."""

import random

import pytest
import torch
from test_native_conv import integers

import lightconv
import lightconv.functional as F

T = torch.nn.functional
NAMES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def agree(call, *tensors: torch.Tensor, exactly: bool = False) -> None:
    """The same values and gradients as the definition."""
    leaves = [t.clone().requires_grad_() for t in tensors]
    y = call(*leaves)
    g = integers(*y.shape, seed=9)
    with lightconv.backend("definition"):
        expected = call(*leaves)
        wanted = torch.autograd.grad(expected, leaves, g)
    got = torch.autograd.grad(y, leaves, g)
    for a, b in zip((y, *got), (expected, *wanted), strict=True):
        assert a.shape == b.shape
        assert a.stride() == b.stride()
        assert torch.equal(a, b) if exactly else torch.allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(24))
def test_any_resampling(variant, ran, seed):
    draw = random.Random(seed)
    axes = draw.choice([1, 2, 2, 2, 3])
    size = [draw.choice([1, 2, 3, 7, 16, 17, 33, 70]) for _ in range(axes)]
    out = [draw.choice([1, 2, 5, 9, 16, 31, 34, 80]) for _ in range(axes)]
    mode = draw.choice([NAMES[axes], "nearest", "nearest-exact", *(["bicubic"] if axes == 2 else [])])
    options = {"antialias": draw.random() < 0.5} if axes == 2 and mode.startswith("bi") else {}
    if "nearest" not in mode and draw.random() < 0.3:
        options["align_corners"] = True
    x = integers(draw.choice([1, 3]), draw.choice([1, 2, 5]), *size, seed=seed)
    agree(lambda a: F.interpolate(a, size=out, mode=mode, **options), x)
    assert "resample" in ran


@pytest.mark.parametrize("seed", range(12))
def test_any_bins(variant, ran, seed):
    draw = random.Random(100 + seed)
    axes = draw.choice([1, 2, 2, 3])
    size = [draw.choice([1, 2, 7, 14, 28, 33]) for _ in range(axes)]
    out = [draw.choice([1, 2, 3, 7, 9, 20]) for _ in range(axes)]
    x = integers(2, 3, *size, seed=seed)
    pool = getattr(F, f"adaptive_avg_pool{axes}d")
    agree(lambda a: pool(a, out if axes > 1 else out[0]), x)
    assert ran == ["resample", "resample"]


@pytest.mark.parametrize("size", [(5, 7), (40, 41)])
def test_repetition_and_the_books_bilinear_are_exact(variant, ran, size):
    x = integers(2, 3, *size)
    agree(lambda a: F.duplicate(a, (2, 3)), x, exactly=True)
    agree(lambda a: F.upsample_bilinear_zeros(a, (2, 4)), x, exactly=True)
    assert ran == ["resample"] * 4


def test_infinities_and_nan_stay_with_the_outputs_that_read_them(variant):
    x = torch.zeros(1, 1, 40, 44)
    x[0, 0, 20, 21], x[0, 0, 3, 40], x[0, 0, 39, 0] = torch.inf, torch.nan, -torch.inf
    for options in ({"mode": "bilinear"}, {"mode": "bicubic"}, {"mode": "bilinear", "antialias": True}):
        for size in (80, 17):
            y = F.interpolate(x, size=size, **options)
            assert torch.equal(y.isfinite(), T.interpolate(x, size=size, **options).isfinite())
    g = torch.zeros(1, 1, 80, 80)
    g[0, 0, 7, 79], g[0, 0, 50, 0] = torch.inf, torch.nan
    for function in (F, T):
        leaf = x.nan_to_num(0, 0, 0).requires_grad_()
        (found,) = torch.autograd.grad(function.interpolate(leaf, size=80, mode="bilinear"), leaf, g)
        if function is F:
            ours = found
    assert torch.equal(ours.isfinite(), found.isfinite())


@pytest.mark.parametrize(
    "change", [lambda x: x[:, :, ::2, 1:], lambda x: x.mT, lambda x: x[:0], lambda x: x.expand(3, -1, -1, -1)]
)
def test_any_layout(variant, change):
    x = change(integers(1, 4, 12, 18))
    agree(lambda a: F.interpolate(a, scale_factor=2, mode="bilinear"), x)


def test_channels_last_stays(variant):
    x = integers(2, 5, 9, 11).to(memory_format=torch.channels_last)
    agree(lambda a: F.interpolate(a, size=(20, 6), mode="bilinear"), x)
    agree(lambda a: F.adaptive_avg_pool2d(a, (4, 5)), x)


def test_results_do_not_depend_on_threads(variant):
    before, x = torch.get_num_threads(), torch.randn(7, 5, 33, 65)
    results = []
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            results.append(F.interpolate(x, size=(50, 130), mode="bicubic"))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(result, results[0]) for result in results)


def test_a_large_result_is_like_a_small_one(variant):
    # so large that it may lie in large pages
    x = torch.randn(2, 3, 512, 1024)
    y = F.interpolate(x, scale_factor=2)
    assert torch.equal(y, x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.equal(F.interpolate(x[:, :, :100, :100], scale_factor=2), y[:, :, :200, :200])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channels", [1, 3, 20])
def test_bytes_are_torchs(variant, ran, channels, layout):
    x = torch.randint(0, 256, (2, channels, 23, 41), dtype=torch.uint8).contiguous(memory_format=layout)
    for size in ((7, 9), (50, 41), (23, 90), (1, 100)):
        for options in ({"mode": "bilinear"}, {"mode": "bilinear", "antialias": True}, {"mode": "bicubic"}):
            y, expected = F.interpolate(x, size, **options), T.interpolate(x, size, **options)
            assert torch.equal(y, expected), (size, options)
            assert y.stride() == expected.stride() or channels == 1
    assert set(ran) == {"resample_bytes"}
