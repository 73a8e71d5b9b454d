"""Convolution kernels on tensors whose channels lie last: torch's values exactly, on integers, and row order's bits."""

import random

import pytest
import torch
from test_native_conv import integers
from torch import Tensor

import lightconv.functional as F

CHANNELS = [1, 3, 5, 8, 10, 16, 17, 20, 32, 40, 64]


def last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def drawn(seed: int) -> tuple[list[Tensor], dict]:
    """Input, weight, bias and options of a convolution at random."""
    draw = random.Random(seed)
    inputs, outputs, groups = draw.choice(CHANNELS), draw.choice(CHANNELS), draw.choice([1, 1, 1, 2])
    if draw.random() < 0.2:
        inputs, outputs, groups = 1, draw.choice([1, 1, 1, 2]), draw.choice([3, 16, 19, 33, 64])
    kernel = draw.choice([[3, 3], [5, 5], [1, 1], [draw.randint(1, 5), draw.randint(1, 5)]])
    dilation, padding = [draw.choice([1, 1, 1, 2]) for _ in kernel], [draw.choice([0, 0, 1, 2]) for _ in kernel]
    least = [max(2, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    size = [draw.randint(n, max(n, 30)) for n in least]
    tensors = [
        last(integers(draw.choice([1, 2, 5]), inputs * groups, *size, seed=seed)),
        integers(outputs * groups, inputs, *kernel, seed=seed + 1),
        integers(outputs * groups, seed=seed + 2),
    ]
    return tensors, {"stride": draw.choice([1, 1, 2]), "padding": padding, "dilation": dilation, "groups": groups}


def result_and_gradients(call, tensors: list[Tensor], options: dict, g: Tensor | None = None) -> tuple[Tensor, ...]:
    leaves = [t.clone().requires_grad_() for t in tensors]
    y = call(*leaves, **options)
    if g is None:
        g = integers(*y.shape, seed=3)
    order = torch.contiguous_format if tensors[0].is_contiguous() else torch.channels_last
    return (y, *torch.autograd.grad(y, leaves, g.contiguous(memory_format=order)))


def check(name: str, seed: int) -> None:
    tensors, options = drawn(seed)
    if name == "conv_transpose2d":
        # the shape of a convolution's result
        tensors[0] = last(integers(*torch.conv2d(*tensors, **options).shape, seed=seed))
        tensors[2] = integers(tensors[1].shape[1] * options["groups"], seed=seed)
    ours, torchs = (getattr(where, name) for where in (F, torch.nn.functional))
    x, *rest = tensors
    results = result_and_gradients(ours, tensors, options)
    expected = result_and_gradients(torchs, [x.contiguous(), *rest], options)
    for got, want in zip(results, expected, strict=True):
        assert torch.equal(got, want), (x.shape, rest[0].shape, options)
    for tensor, source in ((results[0], x), (results[1], results[0])):
        if not source.is_contiguous() and 1 not in tensor.shape:
            assert tensor.is_contiguous(memory_format=torch.channels_last)
    # numbers whose sums are rounded: the same ones as in row order, but for the weights' gradients
    generator = torch.Generator().manual_seed(seed)
    x, w, b, g = (torch.randn(t.shape, generator=generator) for t in (*tensors, results[0]))
    these = result_and_gradients(ours, [last(x), w, b], options, g)
    those = result_and_gradients(ours, [x, w, b], options, g)
    assert all(torch.equal(a, b) for a, b in zip(these[:2], those[:2], strict=True)), (x.shape, w.shape, options)
    torch.testing.assert_close(these[2], those[2], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_any_convolution(variant, name, seed):
    check(name, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(25, 2000))
@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_very_many_convolutions(variant, name, seed):
    check(name, seed)


@pytest.mark.parametrize(
    ("x", "w", "options"),
    [
        ((5, 16, 14, 14), (32, 16, 3, 3), {"padding": 1}),  # Winograd's way
        ((5, 20, 29, 29), (40, 20, 5, 5), {}),  # output channels as lanes
        ((3, 10, 40, 40), (20, 10, 5, 5), {"padding": 2}),  # turned, a piece at a time
        ((3, 3, 65, 65), (64, 3, 7, 7), {"padding": 3, "stride": 2}),
        ((9, 40, 12, 12), (80, 40, 5, 5), {}),  # scattered backward
        ((5, 70, 30, 31), (70, 1, 3, 3), {"padding": 1, "groups": 70}),  # each channel by itself
        ((1, 64, 60, 60), (64, 64, 1, 1), {}),
    ],
)
def test_results_do_not_depend_on_threads(variant, x, w, options):
    tensors = [last(torch.randn(x)), torch.randn(w), torch.randn(w[0])]
    before, results = torch.get_num_threads(), []
    g = torch.randn(torch.conv2d(*tensors, **options).shape)
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(result_and_gradients(F.conv2d, tensors, options, g)[:3])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for result in results[1:] for a, b in zip(result, results[0], strict=True))


@pytest.mark.parametrize("channels", [19, 32])
@pytest.mark.parametrize(("size", "stride"), [((7, 7), 7), ((9, 8), 7), ((16, 21), 8)])
def test_each_channel_by_itself_in_windows_that_share_nothing(variant, channels, size, stride):
    tensors = [integers(3, channels, *size), integers(channels, 1, 7, 7, seed=1), integers(channels, seed=2)]
    options = {"stride": stride, "groups": channels, "padding": (1, 0)}
    expected = result_and_gradients(torch.conv2d, tensors, options)
    for x in (tensors[0], last(tensors[0])):
        results = result_and_gradients(F.conv2d, [x, *tensors[1:]], options)
        assert all(torch.equal(got, want) for got, want in zip(results, expected, strict=True))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 3e38])
@pytest.mark.parametrize(("inputs", "outputs", "groups"), [(32, 32, 1), (20, 20, 20), (5, 7, 1), (3, 64, 1)])
def test_nan_and_infinity_stay_in_the_windows_that_see_them(variant, value, inputs, outputs, groups):
    x, w = integers(3, inputs, 12, 12), torch.zeros(outputs, inputs // groups, 3, 3)
    x[1, 2, 3:6, 4:8] = value
    w[:, :, 1, 1] = integers(outputs, inputs // groups).clamp(0, 1)
    for function in ("conv2d", "conv_transpose2d"):
        ours, torchs = (getattr(where, function) for where in (F, torch.nn.functional))
        options = {"padding": 1, "groups": groups}
        if function == "conv_transpose2d" and outputs != inputs:
            continue
        y, expected = ours(last(x), w, **options), torchs(x, w, **options)
        assert torch.equal(y.nan_to_num(1, 2, 3), expected.nan_to_num(1, 2, 3))


def test_channels_of_a_larger_tensor(variant):
    # channels lie last here, but not in one piece
    x, w = last(integers(2, 24, 9, 11))[:, 3:20], integers(16, 17, 3, 3, seed=1)
    assert torch.equal(F.conv2d(x, w, padding=1), torch.conv2d(x.contiguous(), w, padding=1))
