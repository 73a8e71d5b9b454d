"""Kernels of convolution + max-pooling + ReLU against three calls of torch, on integers, hence exactly."""

import random

import pytest
import torch
from test_native_conv import integers
from torch import Tensor

import lightconv
import lightconv.functional as F


def three_calls(x: Tensor, w: Tensor, b: Tensor | None, pool: int, **options: object) -> Tensor:
    T = torch.nn.functional
    return T.relu(T.max_pool2d(T.conv2d(x, w, b, **options), pool))


def drawn(seed: int) -> tuple[list[Tensor], dict]:
    draw = random.Random(seed)
    groups = draw.choice([1, 1, 2, 3])
    pool = draw.choice([2, 2, 2, 3])
    kernel = [draw.choice([1, 2, 3, 3, 5, 5, 7]) for _ in range(2)]
    stride = [draw.choice([1, 1, 1, 2]) for _ in range(2)]
    dilation = [draw.choice([1, 1, 1, 2]) for _ in range(2)]
    padding = [draw.randint(0, 3) for _ in range(2)]
    least = [
        max(1, d * (k - 1) + 1 - 2 * p + s * (pool - 1))
        for k, s, d, p in zip(kernel, stride, dilation, padding, strict=True)
    ]
    size = [n + draw.randint(0, 30) for n in least]
    inputs = draw.choice([1, 2, 3, 5, 10, 17, 20])
    x = integers(draw.choice([1, 2, 5]), groups * inputs, *size, seed=seed)
    w = integers(groups * draw.choice([1, 2, 4, 5, 7]), inputs, *kernel, seed=seed + 1)
    b = integers(w.shape[0], seed=seed + 2)
    if draw.random() < 0.3:
        x = x.to(memory_format=torch.channels_last)
    return [x, w, b], {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "pool": pool}


def check_case(seed: int) -> None:
    tensors, options = drawn(seed)
    pool = options.pop("pool")
    ours, theirs = ([t.detach().clone().requires_grad_() for t in tensors] for _ in range(2))
    y, expected = F.conv_max_pool_relu(*ours, **options, pool_size=pool), three_calls(*theirs, pool, **options)
    alone = F.conv_max_pool_relu(*tensors, **options, pool_size=pool)  # without a gradient it keeps no winners
    assert torch.equal(alone, y.detach()), (tensors[0].shape, options)
    assert alone.stride() == y.stride()
    assert torch.equal(y, expected)
    g = integers(*y.shape, seed=seed + 3)
    for got, want in zip(torch.autograd.grad(y, ours, g), torch.autograd.grad(expected, theirs, g), strict=True):
        assert torch.equal(got, want), (tensors[0].shape, tensors[1].shape, options, pool)


@pytest.mark.parametrize("seed", range(30))
def test_any_block(variant, seed):
    check_case(10 * seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(30, 2000))
def test_very_many_blocks(variant, seed):
    check_case(10 * seed)


def test_kernels_run_forward_and_backward(variant, ran):
    x, w, b = (torch.randn(s, requires_grad=True) for s in ((2, 3, 9, 9), (4, 3, 3, 3), (4,)))
    F.conv_max_pool_relu(x, w, b).sum().backward()
    assert ran == ["conv_max_pool_relu", "block_input", "block_weight"]
    ran.clear()
    F.conv_max_pool_relu(x.detach(), w.detach(), pool_size=4)
    assert ran == ["conv", "max_pool"], (
        "a pooling window without a kernel falls back to the definition, whose parts have some"
    )


def test_the_first_of_equals_wins_and_the_last_nan(variant):
    # one weight: the convolution is its input
    x = torch.zeros(1, 1, 2, 8)
    x[0, 0, :, 2:4] = torch.tensor([[1.0, 2.0], [2.0, 2.0]])
    x[0, 0, :, 4:6] = torch.tensor([[float("nan"), 5.0], [float("nan"), 7.0]])
    x[0, 0, :, 6:8] = -torch.inf
    x.requires_grad_()
    y = F.conv_max_pool_relu(x, torch.ones(1, 1, 1, 1))
    assert torch.equal(y.isnan(), torch.tensor([[[[False, False, True, False]]]]))
    assert y.nan_to_num(9).flatten().tolist() == [0, 2, 9, 0]
    (g,) = torch.autograd.grad(y, x, torch.tensor([[[[1.0, 2.0, 3.0, 4.0]]]]))
    assert g[0, 0].tolist() == [[0, 0, 0, 2, 0, 0, 0, 0], [0, 0, 0, 0, 3, 0, 0, 0]]


def test_winners_in_large_pictures_whose_channels_lie_last():
    """Those that are too large to be turned at once: winners lie in rows all the same."""
    x = torch.randint(-3, 4, (1, 2, 1100, 2000)).float().contiguous(memory_format=torch.channels_last)
    w = integers(3, 2, 2, 2, seed=1)
    ours, theirs = ([t.detach().clone().requires_grad_() for t in (x, w)] for _ in range(2))
    y, expected = F.conv_max_pool_relu(*ours), three_calls(*theirs, None, 2)
    assert torch.equal(y, expected)
    # few have a gradient, so that sums are exact
    g = torch.zeros_like(y)
    g[..., ::50, ::50] = 1
    for got, want in zip(torch.autograd.grad(y, ours, g), torch.autograd.grad(expected, theirs, g), strict=True):
        assert torch.equal(got, want)


def test_constant_pictures_tie_everywhere(variant):
    x, w = torch.full((2, 3, 30, 37), 3.0, requires_grad=True), integers(7, 3, 5, 5)
    (g,) = torch.autograd.grad(F.conv_max_pool_relu(x, w).sum(), x)
    (wanted,) = torch.autograd.grad(three_calls(x, w, None, 2).sum(), x)
    assert torch.equal(g, wanted)
    # and so do sums that are rounded: each window's first element gets the gradient, hence odd rows see fewer taps
    x, w = torch.full((1, 3, 31, 37), 0.3, requires_grad=True), torch.rand(7, 3, 1, 1)
    (g,) = torch.autograd.grad(F.conv_max_pool_relu(x, w).sum(), x)
    assert g[..., 1::2, :].abs().max() == 0
    assert g[..., 1::2].abs().max() == 0


def test_results_do_not_depend_on_threads(variant):
    before = torch.get_num_threads()
    x, w, b = (torch.randn(s, requires_grad=True) for s in ((37, 11, 22, 22), (13, 11, 5, 5), (13,)))
    results = []
    try:
        for threads in (1, 2, 3, 8, 1):
            torch.set_num_threads(threads)
            y = F.conv_max_pool_relu(x, w, b)
            results.append((y, *torch.autograd.grad(y.square().sum(), (x, w, b))))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


def test_a_large_picture_goes_in_strips(variant):
    x, w = integers(1, 17, 300, 310).requires_grad_(), integers(2, 17, 3, 3).requires_grad_()
    y, expected = F.conv_max_pool_relu(x, w), three_calls(x, w, None, 2)
    assert torch.equal(y, expected)
    g = integers(*y.shape)
    for got, want in zip(torch.autograd.grad(y, (x, w), g), torch.autograd.grad(expected, (x, w), g), strict=True):
        assert torch.equal(got, want)


def test_second_derivatives_agree_with_the_definition(variant):
    x, w, b = (torch.randn(s, requires_grad=True) for s in ((2, 3, 8, 8), (4, 3, 3, 3), (4,)))

    def second() -> tuple[Tensor, ...]:
        y = F.conv_max_pool_relu(x, w, b)
        grads = torch.autograd.grad(y.square().sum(), (x, w, b), create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in grads), (x, w, b))

    ours = second()
    with lightconv.backend("definition"):
        expected = second()
    for got, want in zip(ours, expected, strict=True):
        assert torch.allclose(got, want, rtol=1e-3, atol=1e-2 * want.abs().max().item())
