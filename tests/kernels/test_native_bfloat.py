"""Kernels for bfloat16: on small integers every sum is exact, and results are those in float32, rounded once."""

import random

import pytest
import test_native_blocks as blocks
import test_native_conv as conv
import test_native_pooling as pooling
import torch
from test_native_conv import integers
from torch import Tensor

import lightconv.functional as F

T = torch.nn.functional
LOW = torch.bfloat16


def same(ours: Tensor, exact: Tensor, context: object) -> None:
    expected = exact.to(LOW)
    assert ours.dtype == LOW, context
    assert ours.shape == expected.shape, context
    assert torch.equal(ours.isnan(), expected.isnan()), context
    assert torch.equal(ours.nan_to_num(7, 8, 9), expected.nan_to_num(7, 8, 9)), context


def check(ours, truth, tensors: list[Tensor], context: object) -> None:
    """Results and gradients of bfloat16 tensors against those of the same numbers in float32."""
    low = [t.to(LOW).detach().requires_grad_() for t in tensors]
    exact = [t.detach().clone().requires_grad_() for t in tensors]
    assert all(torch.equal(a.float().nan_to_num(7), b.nan_to_num(7)) for a, b in zip(low, exact, strict=True))
    y, expected = ours(*low), truth(*exact)
    same(y, expected, context)
    with torch.no_grad():
        same(ours(*low), expected, context)
    g = integers(*y.shape, seed=5)
    grads = torch.autograd.grad(y, low, g.to(LOW)), torch.autograd.grad(expected, exact, g)
    for got, want in zip(*grads, strict=True):
        same(got, want, context)


def check_conv(seed: int) -> None:
    axes, x, w, b, options = conv.drawn(seed)
    tensors = [x, w] if b is None else [x, w, b]
    ours, truth = (getattr(where, f"conv{axes}d") for where in (F, T))
    check(lambda *t: ours(*t, **options), lambda *t: truth(*t, **options), tensors, (x.shape, w.shape, options))


@pytest.mark.parametrize("seed", range(20))
def test_any_convolution(variant, seed):
    check_conv(100 * seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20, 1500))
def test_very_many_convolutions(variant, seed):
    check_conv(100 * seed)


def check_block(seed: int) -> None:
    tensors, options = blocks.drawn(seed)
    pool = options.pop("pool")
    check(
        lambda *t: F.conv_max_pool_relu(*t, **options, pool_size=pool),
        lambda *t: blocks.three_calls(*t, pool, **options),
        *(tensors, (tensors[0].shape, tensors[1].shape, options, pool)),
    )


@pytest.mark.parametrize("seed", range(12))
def test_any_block(variant, seed):
    check_block(10 * seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12, 800))
def test_very_many_blocks(variant, seed):
    check_block(10 * seed)


@pytest.mark.parametrize("seed", range(12))
def test_any_transposed_convolution(variant, seed):
    draw = random.Random(seed)
    axes, x, _, _, options = conv.drawn(seed)
    w = integers(x.shape[1], draw.choice([1, 3, 8]), *([draw.choice([1, 2, 3])] * axes))
    ours, truth = (getattr(where, f"conv_transpose{axes}d") for where in (F, T))
    options["padding"] = 0
    check(lambda *t: ours(*t, **options), lambda *t: truth(*t, **options), [x, w], (x.shape, w.shape, options))


def check_pooling(seed: int) -> None:
    axes, x, options = pooling.drawn(seed)
    ours, truth = (getattr(where, f"max_pool{axes}d") for where in (F, T))
    check(lambda t: ours(t, **options), lambda t: truth(t, **options), [x], (x.shape, options))
    del options["dilation"]
    if axes < 3 and x.isfinite().all():  # torch has no avg_pool3d in bfloat16
        ours, truth = (getattr(where, f"avg_pool{axes}d") for where in (F, T))
        # in double precision, so that it is rounded once there as well
        exact = truth(x.double(), **options)
        got = ours(x.to(LOW), **options)
        assert torch.allclose(got.double(), exact, rtol=2**-8, atol=0), (x.shape, options)


@pytest.mark.parametrize("seed", range(20))
def test_any_pooling(variant, seed):
    check_pooling(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20, 1000))
def test_very_many_poolings(variant, seed):
    check_pooling(seed)


def test_they_run_where_the_cpu_multiplies_pairs(variant, ran):
    x, w, b = (torch.randn(s, dtype=LOW, requires_grad=True) for s in ((2, 3, 9, 12), (4, 3, 3, 3), (4,)))
    y = F.avg_pool2d(F.max_pool2d(F.conv2d(x, w, b), (1, 3), padding=(0, 1)), 2)
    y.sum().backward()
    F.conv_max_pool_relu(x, w, b).sum().backward()
    F.avg_pool2d(x, (9, 12)).sum().backward()
    own = [name for name in ran if name.endswith("_bfloat16")]
    wanted = ["conv", "max_pool", "avg_pool", "max_pool_spread", "conv_transpose", "conv_weight"]
    wanted += ["conv_max_pool_relu", "block_input", "block_weight", "plane_mean", "plane_spread"]
    assert own == ([f"{name}_bfloat16" for name in wanted] if variant == "avx512_bf16" else [])


def test_every_number_comes_through(variant):
    bits = torch.arange(2**16, dtype=torch.int32).to(torch.int16).reshape(1, 1, 256, 256)
    x, normal = bits.view(LOW), torch.finfo(LOW).tiny
    y = F.conv2d(x, torch.ones(1, 1, 1, 1, dtype=LOW))
    tiny = (x.abs() < normal) & (x != 0)
    assert torch.equal(y.isnan(), x.isnan())
    assert torch.equal(y[~tiny].nan_to_num(7, 8, 9), x[~tiny].nan_to_num(7, 8, 9))
    assert y[tiny].abs().max() < normal  # pairs are multiplied without denormal numbers
    best = F.max_pool2d(x, (1, 1), stride=1)
    assert torch.equal(best.nan_to_num(7, 8, 9), x.nan_to_num(7, 8, 9))


def test_sums_are_rounded_once_to_the_even_of_two(variant):
    step = 2.0**-8
    x = torch.tensor([[1, step, 0], [1, 2 * step, step], [1, step, step / 64], [-1, -step, 0], [3e38, 3e38, 0]])
    x = x.to(LOW).reshape(5, 3, 1, 1)
    y = F.conv2d(x, torch.ones(1, 3, 1, 1, dtype=LOW)).flatten().tolist()
    assert y == [1, 1 + 4 * step, 1 + 2 * step, -1, torch.inf]
    many = F.conv2d(torch.ones(1, 400, 3, 3, dtype=LOW), torch.ones(1, 400, 3, 3, dtype=LOW))
    assert many.item() == torch.tensor(3600.0).to(LOW).item()


def test_infinities_stay_in_the_windows_that_see_them(variant):
    x, w = integers(1, 3, 10, 40), integers(2, 3, 2, 2)
    x[0, 1, 5, 20], x[0, 2, 0, 0], x[0, 0, 6, 9] = torch.inf, torch.nan, -torch.inf
    for stride in (1, 3):  # by steps of 3 there are elements that no window sees
        check(
            lambda *t, stride=stride: F.conv2d(*t, stride=stride),
            lambda *t, stride=stride: T.conv2d(*t, stride=stride),
            *([x, w], stride),
        )
    # rows of a single channel are multiplied in pairs, the last of three with one behind the window
    for axes in ((2, 3), (3, 2)):
        check(
            lambda x, w, axes=axes: F.conv2d(x[:, 1:2].permute(0, 1, *axes), w),
            lambda x, w, axes=axes: T.conv2d(x[:, 1:2].permute(0, 1, *axes), w),
            *([x, integers(3, 1, 3, 3)], axes),
        )


def test_equal_windows_have_equal_results(variant):
    x, w = torch.full((3, 5, 31, 37), 0.3, dtype=LOW), torch.rand(7, 5, 3, 3).to(LOW)
    y = F.conv2d(x, w)
    assert torch.equal(y, y[:1, :, :1, :1].expand(y.shape))


def test_results_do_not_depend_on_threads(variant):
    before = torch.get_num_threads()
    x, w, b = (torch.randn(s).to(LOW).requires_grad_() for s in ((13, 11, 22, 22), (13, 11, 5, 5), (13,)))
    results = []
    try:
        for threads in (1, 2, 3, 8, 1):
            torch.set_num_threads(threads)
            y, pooled = F.conv2d(x, w, b), F.conv_max_pool_relu(x, w, b)
            grads = torch.autograd.grad((y.square().sum(), pooled.square().sum()), (x, w))
            results.append((y, pooled, *grads))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


def test_parts_of_tensors_whose_channels_lie_last(variant):
    """Every other sample lies neither in rows nor, for torch, with its channels last."""
    x, w = integers(4, 5, 3, 1), integers(5, 15, 4, 5)
    for part in (slice(0, 3, 2), slice(1, 2)):
        check(
            lambda x, w, part=part: F.conv_transpose2d(
                x.contiguous(memory_format=torch.channels_last)[part], w, stride=4, padding=1
            ),
            lambda x, w, part=part: T.conv_transpose2d(x[part], w, stride=4, padding=1),
            *([x, w], part),
        )
