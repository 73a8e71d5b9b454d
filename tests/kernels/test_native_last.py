"""Kernels of pooling and resampling on tensors whose channels lie last: torch's values, and its layout."""

import random

import pytest
import torch
from test_native_conv import integers
from test_native_pooling import INF, NAN, same

import lightconv.functional as F

T = torch.nn.functional
CHANNELS = [2, 3, 5, 16, 20, 33, 70, 128]


def last(x: torch.Tensor) -> torch.Tensor:
    layout = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
    return x.contiguous(memory_format=layout)


def compare(ours, torchs, x: torch.Tensor, exactly: bool, context: object) -> None:
    """Values, gradients and layouts."""
    leaf, other = (x.clone().requires_grad_() for _ in range(2))
    y, expected = ours(leaf), torchs(other)
    g = last(integers(*y.shape, seed=3))
    results = [(y, expected), tuple(torch.autograd.grad(a, b, g)[0] for a, b in ((y, leaf), (expected, other)))]
    for a, b in results:
        if exactly:
            same(a, b, context)
        else:
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5, equal_nan=True)
        assert a.stride() == b.stride() or 1 in y.shape[2:], context


def with_rest(call, rest):
    return lambda x: call(x, *rest)


def check(seed: int) -> None:
    draw = random.Random(seed)
    axes = draw.choice([2, 2, 2, 3])
    kernel = [draw.choice([1, 2, 2, 3, 5]) for _ in range(axes)]
    dilation = [draw.choice([1, 1, 2]) for _ in kernel]
    options = {
        "kernel_size": kernel,
        "stride": kernel if draw.random() < 0.4 else [draw.choice([1, 2, 3]) for _ in kernel],
        "padding": [draw.choice([0, k // 2]) for k in kernel],
        "dilation": dilation,
        "ceil_mode": draw.random() < 0.3,
    }
    size = [d * (k - 1) + 1 + draw.randint(0, 20 if axes < 3 else 5) for k, d in zip(kernel, dilation, strict=True)]
    x = last(integers(draw.choice([1, 2]), draw.choice(CHANNELS), *size, seed=seed))
    # in 3-D torch takes the winner of a window of -inf from the first slice, see the next test
    for value in ((INF, -INF, NAN) if axes < 3 else (INF, NAN))[: draw.choice([0, 2, 3])]:
        x[torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < 0.3] = value
    ours, torchs = (getattr(where, f"max_pool{axes}d") for where in (F, T))
    compare(lambda a: ours(a, **options), lambda a: torchs(a, **options), x, True, (x.shape, options))


@pytest.mark.parametrize("seed", range(12))
def test_any_maxima_of_channels(variant, seed):
    check(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12, 1000))
def test_very_many_maxima_of_channels(variant, seed):
    check(seed)


def test_the_winner_of_minus_infinity_lies_in_its_window(variant):
    x = last(torch.full((1, 2, 3, 2, 2), -INF))
    assert torch.equal(F.max_pool3d(x, (1, 2, 2), return_indices=True)[1].flatten(), torch.tensor([0, 4, 8] * 2))


@pytest.mark.parametrize("channels", [3, 20, 33])
def test_means_and_resampling_stay_where_they_are(variant, ran, channels):
    x = last(torch.randn(2, channels, 14, 17))
    for name, *some in [
        ("avg_pool2d", 2),
        ("avg_pool2d", 3, 2, 1, True, False),
        ("avg_pool2d", 3, 1, 1, False, True, 7),
        ("adaptive_avg_pool2d", (5, 6)),
        ("adaptive_avg_pool2d", (7, 17)),
    ]:
        compare(with_rest(getattr(F, name), some), with_rest(getattr(T, name), some), x, False, (name, some))
    torch.testing.assert_close(F.avg_pool2d(x, (14, 17)), T.avg_pool2d(x, (14, 17)))
    for options in ({"mode": "bilinear"}, {"mode": "bicubic"}, {"mode": "bilinear", "antialias": True}):
        for size in ((28, 34), (9, 5)):
            y = F.interpolate(x, size, **options)
            torch.testing.assert_close(y, T.interpolate(x, size, **options), rtol=1e-4, atol=1e-4)
            assert y.is_contiguous(memory_format=torch.channels_last)
    doubled = F.interpolate(x, scale_factor=2)
    assert torch.equal(doubled, x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert set(ran) == {"resample"}


@pytest.mark.parametrize("channels", [3, 16, 20, 33])
@pytest.mark.parametrize(("size", "out"), [((14, 17), (5, 6)), ((28, 28), (7, 5)), ((3, 9), (7, 4))])
def test_bins_of_any_sizes(variant, ran, channels, size, out):
    x = last(integers(2, channels, *size))
    for value, seed in ((INF, 1), (-INF, 2), (NAN, 3)):
        x[torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < 0.1] = value
    x[:, 0, : size[0] // 2] = -INF
    compare(with_rest(F.adaptive_max_pool2d, [out]), with_rest(T.adaptive_max_pool2d, [out]), x, True, out)
    _, indices = F.adaptive_max_pool2d(x, out, return_indices=True)
    assert torch.equal(indices, T.adaptive_max_pool2d(x, out, return_indices=True)[1])
    assert indices.is_contiguous(memory_format=torch.channels_last)
    assert "max_bins_last" in ran


def test_bytes_number_the_taps_and_so_do_integers(variant, ran):
    # 132 elements are too many for a byte each
    x = last(integers(2, 18, 30, 31))
    compare(lambda a: F.max_pool2d(a, (11, 12), 5), lambda a: T.max_pool2d(a, (11, 12), 5), x, True, "many")
    assert ran == ["max_pool_last", "max_pool_spread_last"]


def test_results_do_not_depend_on_threads(variant):
    before, x = torch.get_num_threads(), last(torch.randn(5, 20, 23, 31)).requires_grad_()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            y = F.max_pool2d(x, 3, 2, 1) + F.avg_pool2d(x, 3, 2, 1)
            results.append((y, *torch.autograd.grad(y.square().sum(), x)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for result in results[1:] for a, b in zip(result, results[0], strict=True))
