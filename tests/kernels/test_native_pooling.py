"""Pooling kernels against torch, exactly: maxima of numbers with many ties, means of integers."""

import random

import pytest
import torch
from test_native_conv import integers
from torch import Tensor

import lightconv
import lightconv.functional as F

T = torch.nn.functional
NAN, INF = float("nan"), float("inf")


def drawn(seed: int) -> tuple[int, Tensor, dict]:
    """Axes, input, options of pooling at random; many equal elements, some infinite, some NaN."""
    draw = random.Random(seed)
    axes = draw.choice([1, 2, 2, 2, 3])
    kernel = [draw.choice([1, 2, 2, 3, 5]) for _ in range(axes)]
    stride = kernel if draw.random() < 0.5 else [draw.choice([1, 2, 3]) for _ in kernel]
    padding = [0 if draw.random() < 0.5 else draw.randint(0, k // 2) for k in kernel]
    dilation = [draw.choice([1, 1, 1, 2]) for _ in kernel]
    size = [d * (k - 1) + 1 + draw.randint(0, 45 if axes < 3 else 9) for k, d in zip(kernel, dilation, strict=True)]
    x = integers(draw.choice([1, 2]), draw.choice([1, 3, 7]), *size, seed=seed)
    if draw.random() < 0.3:
        x[torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < 0.4] = -INF
    if draw.random() < 0.3:
        x[torch.rand(x.shape, generator=torch.Generator().manual_seed(seed + 1)) < 0.2] = NAN
    if axes == 2 and draw.random() < 0.2:
        x = x.to(memory_format=torch.channels_last)
    if draw.random() < 0.2:
        x = x.repeat_interleave(2, -1)[..., ::2]
    options = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return axes, x, options | {"ceil_mode": draw.random() < 0.3}


def same(ours: Tensor, expected: Tensor, context: object) -> None:
    assert ours.shape == expected.shape, context
    assert torch.equal(ours.isnan(), expected.isnan()), context
    assert torch.equal(ours.nan_to_num(7), expected.nan_to_num(7)), context


def check_max(seed: int) -> None:
    axes, x, options = drawn(seed)
    ours, torchs = (getattr(where, f"max_pool{axes}d") for where in (F, T))
    leaf, other = (x.clone().requires_grad_() for _ in range(2))
    y, indices = ours(leaf, **options, return_indices=True)
    expected, wanted = torchs(other, **options, return_indices=True)
    same(y, expected, options)
    same(ours(x, **options), expected, options)
    assert torch.equal(indices, wanted), (x.shape, options)
    g = integers(*y.shape, seed=seed + 1)
    same(*(torch.autograd.grad(a, b, g)[0] for a, b in ((y, leaf), (expected, other))), options)


def check_avg(seed: int) -> None:
    axes, x, options = drawn(seed)
    del options["dilation"]
    draw = random.Random(seed)
    options["count_include_pad"] = draw.random() < 0.5
    if axes > 1:
        options["divisor_override"] = draw.choice([None, None, 3, -7])
    ours, torchs = (getattr(where, f"avg_pool{axes}d") for where in (F, T))
    leaf, other = (x.clone().requires_grad_() for _ in range(2))
    y, expected = ours(leaf, **options), torchs(other, **options)
    assert torch.allclose(y, expected, rtol=1e-6, atol=1e-6, equal_nan=True), (x.shape, options)
    g = integers(*y.shape, seed=seed + 1)
    got, want = (torch.autograd.grad(a, b, g)[0] for a, b in ((y, leaf), (expected, other)))
    assert torch.allclose(got, want, rtol=1e-6, atol=1e-5), (x.shape, options)


def check_bins(seed: int) -> None:
    draw = random.Random(seed)
    axes, x, _ = drawn(seed)
    size = [draw.choice([1, 1, 2, 3, 7, n, n + 1, 2 * n]) for n in x.shape[2:]]
    ours, torchs = (getattr(where, f"adaptive_max_pool{axes}d") for where in (F, T))
    leaf, other = (x.clone().requires_grad_() for _ in range(2))
    y, indices = ours(leaf, size, return_indices=True)
    expected, wanted = torchs(other, size, return_indices=True)
    same(y, expected, (x.shape, size))
    assert torch.equal(indices, wanted), (x.shape, size)
    g = integers(*y.shape, seed=seed + 1)
    same(*(torch.autograd.grad(a, b, g)[0] for a, b in ((y, leaf), (expected, other))), size)


@pytest.mark.parametrize("seed", range(40))
def test_any_maxima_of_bins(variant, seed):
    check_bins(10 * seed)


@pytest.mark.parametrize("shape", [(1, 1, 7), (3, 5, 16), (2, 20, 7, 7), (1, 17, 3, 5), (70, 1, 9, 4), (1, 2, 3, 4, 5)])
def test_means_of_whole_planes(variant, ran, shape):
    axes, size = len(shape) - 2, shape[2:]
    x = integers(*shape)
    x[0, 0] = NAN
    leaf, other = (x.clone().requires_grad_() for _ in range(2))
    ours, torchs = (getattr(where, f"avg_pool{axes}d") for where in (F, T))
    y, expected = ours(leaf, size), torchs(other, size)
    assert torch.allclose(y, expected, equal_nan=True)
    assert torch.equal(getattr(F, f"adaptive_avg_pool{axes}d")(x, 1).nan_to_num(), y.nan_to_num())
    g = integers(*y.shape)
    assert torch.allclose(*(torch.autograd.grad(a, b, g)[0] for a, b in ((y, leaf), (expected, other))))
    assert ran == ["plane_mean", "plane_mean", "plane_spread"]


@pytest.mark.parametrize("seed", range(40))
def test_any_maxima(variant, seed):
    check_max(10 * seed)


@pytest.mark.parametrize("seed", range(40))
def test_any_means(variant, seed):
    check_avg(10 * seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(40, 3000))
def test_very_many_poolings(variant, seed):
    check_max(10 * seed)
    check_avg(10 * seed)
    check_bins(10 * seed)


def test_kernels_run_forward_and_backward(variant, ran):
    x = torch.randn(2, 3, 36, 41, requires_grad=True)
    (F.max_pool2d(x, 2) + F.avg_pool2d(x, 2)).sum().backward()
    assert ran == ["max_pool", "avg_pool", "resample", "max_pool_spread"]


@pytest.mark.parametrize("size", [(40, 40), (41, 43), (2, 33), (5, 8), (24, 24), (7, 15), (2, 2)])
@pytest.mark.parametrize("values", [NAN, -INF, 1.0])
def test_windows_of_two_by_two(variant, size, values):
    x = integers(2, 3, *size)
    x[:, 1] = values
    x[:, 2, ::2] = values
    leaf, other = (x.clone().requires_grad_() for _ in range(2))
    y, expected = F.max_pool2d(leaf, 2), T.max_pool2d(other, 2)
    same(y, expected, size)
    g = integers(*y.shape)
    same(*(torch.autograd.grad(a, b, g)[0] for a, b in ((y, leaf), (expected, other))), size)
    same(F.avg_pool2d(x, 2), T.avg_pool2d(x, 2), size)


@pytest.mark.parametrize("kernel", [(7, 9), (12, 11)])
def test_kernels_of_many_elements(variant, kernel):
    # 132 elements are too many for a byte each
    x = integers(1, 2, 40, 40).requires_grad_()
    y, expected = F.max_pool2d(x, kernel, 3, padding=2), T.max_pool2d(x, kernel, 3, padding=2)
    assert torch.equal(y, expected)
    g = integers(*y.shape)
    assert torch.equal(*(torch.autograd.grad(a, x, g)[0] for a in (y, expected)))


def test_unpooling_puts_elements_where_torch_does(variant, ran):
    x = torch.randn(2, 3, 12, 14)
    y, indices = F.max_pool2d(x, 3, 2, return_indices=True)
    ran.clear()
    assert torch.equal(
        F.max_unpool2d(y, indices, 3, 2, output_size=x.shape[2:]),
        T.max_unpool2d(y, indices, 3, 2, output_size=x.shape[2:]),
    )
    leaf = y.clone().requires_grad_()
    (g,) = torch.autograd.grad(F.max_unpool2d(leaf, indices, 3, 2, output_size=x.shape[2:]).square().sum(), leaf)
    assert torch.equal(
        g,
        2
        * T.max_unpool2d(y, indices, 3, 2, output_size=x.shape[2:]).flatten(2).gather(2, indices.flatten(2)).view_as(y),
    )
    assert ran == ["unpool", "unpool"]


@pytest.mark.parametrize("wrong", [-1, 16, 2**62])
def test_a_wrong_index_is_refused(variant, wrong):
    indices = torch.tensor([[[[0, 2], [8, wrong]]]])
    with pytest.raises(RuntimeError, match="Expected `indices` from 0 to 15"):
        F.max_unpool2d(torch.ones(1, 1, 2, 2), indices, 2)


def test_results_do_not_depend_on_threads(variant):
    before = torch.get_num_threads()
    x = torch.randn(5, 7, 40, 45, requires_grad=True)
    results = []
    try:
        for threads in (1, 2, 5, 1):
            torch.set_num_threads(threads)
            y = F.max_pool2d(x, 3, 2, 1) + F.avg_pool2d(x, 3, 2, 1) + F.avg_pool2d(x, (40, 45))
            small = x[..., :13, :18]
            y = y + F.adaptive_max_pool2d(x, y.shape[2:]) + F.max_pool2d(small, 2).sum() + F.avg_pool2d(small, 2).sum()
            results.append((y, *torch.autograd.grad(y.square().sum(), x)))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


def test_second_derivatives_agree_with_the_definition(variant):
    x = torch.randn(2, 3, 8, 9, requires_grad=True)

    def second() -> Tensor:
        y = F.max_pool2d(x, 3, 2) * F.avg_pool2d(x, 3, 2)
        (g,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return torch.autograd.grad(g.square().sum(), x)[0]

    ours = second()
    with lightconv.backend("definition"):
        assert torch.allclose(ours, second(), rtol=1e-4, atol=1e-4)
