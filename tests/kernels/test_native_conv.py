"""Convolution kernels against torch and the definition.

Inputs are small integers, so that every sum is exact and results must be equal, in whatever order they are added.
"""

import random

import pytest
import torch
from torch import Tensor

import lightconv
import lightconv.functional as F


def integers(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-4, 5, shape, generator=generator).float()


def drawn(seed: int) -> tuple[int, Tensor, Tensor, Tensor | None, dict]:
    """A convolution at random: axes, input, weight, bias, options."""
    draw = random.Random(seed)
    axes = draw.choice([1, 2, 2, 2, 3])
    groups = draw.choice([1, 1, 2, 3])
    most = 40 if axes < 3 else 11
    kernel = [draw.choice([1, 2, 3, 5]) for _ in range(axes)]
    stride = [draw.choice([1, 1, 2, 3]) for _ in range(axes)]
    dilation = [draw.choice([1, 1, 2]) for _ in range(axes)]
    padding = [draw.randint(0, 3) for _ in range(axes)]
    spans = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    size = [draw.randint(s, max(s, most)) for s in spans]
    x = integers(draw.choice([1, 2, 5]), groups * draw.choice([1, 2, 3, 5]), *size, seed=seed)
    w = integers(groups * draw.choice([1, 2, 4, 7, 13]), x.shape[1] // groups, *kernel, seed=seed + 1)
    b = integers(w.shape[0], seed=seed + 2) if draw.random() < 0.7 else None
    layouts = {"plain": lambda t: t, "step": lambda t: t.repeat_interleave(2, -1)[..., ::2], "expanded": expanded}
    if axes == 2 and size[1] > 1:  # torch crashes on a channels_last picture one pixel wide, padded and dilated
        layouts["channels_last"] = lambda t: t.to(memory_format=torch.channels_last)
    x = layouts[draw.choice(list(layouts))](x)
    return axes, x, w, b, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def expanded(x: Tensor) -> Tensor:
    return x[:1].expand(x.shape)


def same(ours: Tensor, expected: Tensor) -> None:
    assert ours.dtype == expected.dtype
    assert ours.stride() == expected.stride()
    assert torch.equal(ours, expected)


def check_case(seed: int) -> None:
    axes, x, w, b, options = drawn(seed)
    ours, torchs = (getattr(where, f"conv{axes}d") for where in (F, torch.nn.functional))
    y, expected = ours(x, w, b, **options), torchs(x, w, b, **options)
    assert torch.equal(y, expected), (x.shape, w.shape, options)
    g = integers(*y.shape, seed=seed + 3)
    leaves = [t.detach().clone().requires_grad_() for t in (x, w)]
    grads = torch.autograd.grad(ours(*leaves, b, **options), leaves, g)
    wanted = torch.autograd.grad(torchs(*leaves, b, **options), leaves, g)
    for got, want in zip(grads, wanted, strict=True):
        assert torch.equal(got, want), (x.shape, w.shape, options)
    with lightconv.backend("definition"):
        assert torch.equal(ours(x, w, b, **options), y)


@pytest.mark.parametrize("seed", range(40))
def test_any_convolution(variant, seed):
    check_case(100 * seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(40, 3000))
def test_very_many_convolutions(variant, seed):
    check_case(100 * seed)


@pytest.mark.parametrize(
    ("x", "w", "padding"),
    [((2, 1, 128, 128), (10, 1, 5, 5), 0), ((2, 10, 62, 62), (20, 10, 5, 5), 0), ((1, 600, 9, 9), (7, 600, 3, 3), 1)],
)
def test_sizes_of_the_networks_and_inputs_that_do_not_fit_a_cache(variant, ran, x, w, padding):
    x, w, b = integers(*x), integers(*w, seed=1), integers(w[0], seed=2)
    assert torch.equal(F.conv2d(x, w, b, padding=padding), torch.conv2d(x, w, b, padding=padding))
    assert ran == ["conv"]


@pytest.mark.parametrize("transposed", [False, True])
def test_kernels_run_in_forward_and_backward(variant, ran, transposed):
    x, w = torch.randn(2, 3, 9, 9, requires_grad=True), torch.randn(3, 3, 3, 3, requires_grad=True)
    function = F.conv_transpose2d if transposed else F.conv2d
    function(x, w).sum().backward()
    assert ran == (["conv_transpose", "conv"] if transposed else ["conv", "conv_transpose"]) + ["conv_weight"]


@pytest.mark.parametrize("seed", range(20))
def test_any_transposed_convolution(variant, seed):
    draw = random.Random(seed)
    axes, x, w, _, options = drawn(seed)
    w = integers(x.shape[1], draw.choice([1, 3, 8]), *w.shape[2:])
    steps = zip(options["stride"], options["dilation"], strict=True)
    options["output_padding"] = [draw.randrange(max(s, d)) for s, d in steps]
    b = integers(w.shape[1] * options["groups"], seed=3)
    ours, torchs = (getattr(where, f"conv_transpose{axes}d") for where in (F, torch.nn.functional))
    try:
        expected = torchs(x, w, b, **options)
    except RuntimeError:
        pytest.skip("there is no output")
    assert torch.equal(ours(x, w, b, **options), expected)


def test_nan_and_infinity_stay_in_the_windows_that_see_them(variant):
    x, w = integers(2, 3, 20, 20), integers(4, 3, 3, 3)
    x[0, 1, 7, 9], x[1, 2, 19, 0] = float("nan"), float("inf")
    y, expected = F.conv2d(x, w, padding=1), torch.conv2d(x, w, padding=1)
    assert torch.equal(y.isnan(), expected.isnan())
    assert torch.equal(y.nan_to_num(), expected.nan_to_num())


def test_equal_windows_have_equal_results_anywhere(variant):
    # a pattern that repeats every 3 elements, on rows that end within a vector
    x = torch.randn(1, 5, 3, 3).repeat(2, 1, 20, 25)
    y = F.conv2d(x, torch.randn(11, 5, 5, 5), torch.randn(11))
    assert torch.equal(y[..., :-3, :-3], y[..., 3:, 3:])


@pytest.mark.parametrize("shapes", [((5, 3, 40, 40), (13, 3, 3, 3)), ((1, 200, 6, 6), (30, 200, 3, 3))])
def test_results_do_not_depend_on_threads_or_repeats(variant, shapes):
    before = torch.get_num_threads()
    x, w = (torch.randn(s, requires_grad=True) for s in shapes)
    results = []
    try:
        for threads in (1, 2, 3, 7, 1):
            torch.set_num_threads(threads)
            y = F.conv2d(x, w, padding=1)
            results.append((y, *torch.autograd.grad(y.square().sum(), (x, w))))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


def test_what_has_no_kernel_falls_back_to_the_definition(variant, ran):
    x, w = torch.randn(1, 2, 6, 6), torch.randn(3, 2, 3, 3)
    for dtype in (torch.float64, torch.complex64):
        assert F.conv2d(x.to(dtype), w.to(dtype)).dtype == dtype
    assert F.conv2d(x[:0], w).shape == (0, 3, 4, 4)
    assert F.conv2d(x.to("meta"), w.to("meta")).is_meta
    assert not ran
    # lazily negated: the memory does not hold what the tensor means
    negative = torch._neg_view(x)
    assert torch.allclose(F.conv2d(negative, w), -torch.conv2d(x, w), atol=1e-5)
    assert not ran


def test_a_trace_sees_the_definition(variant):
    x, w = torch.randn(1, 2, 6, 6), torch.randn(3, 2, 3, 3)
    traced = torch.fx.experimental.proxy_tensor.make_fx(lambda a: F.conv2d(a, w))(x)
    other = torch.randn(1, 2, 6, 6)
    assert torch.allclose(traced(other), torch.conv2d(other, w), atol=1e-5)


def test_a_definition_runs_no_kernel(variant, ran):
    with lightconv.backend("definition"):
        F.conv2d(torch.randn(1, 2, 6, 6), torch.randn(3, 2, 3, 3))
    assert not ran


def test_channels_last_is_kept(variant):
    x = integers(2, 4, 9, 9).to(memory_format=torch.channels_last)
    w = integers(6, 4, 3, 3)
    for a, b in ((x, w), (x.contiguous(), w.to(memory_format=torch.channels_last))):
        y = F.conv2d(a, b)
        assert y.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(y, torch.conv2d(a, b))


@pytest.mark.parametrize("outputs", [14, 32, 40, 70])
@pytest.mark.parametrize("size", [(7, 7), (3, 14), (9, 20)])
def test_small_pictures_with_many_channels(variant, outputs, size):
    # output channels are the lanes here, in tiles of some places
    groups = 2 if outputs < 40 else 1
    options = {"padding": (2, 1), "stride": 1 + (outputs == 32), "groups": groups}
    x, w, b = integers(3, 4 * groups, *size), integers(outputs * groups, 4, 3, 3, seed=1), integers(outputs * groups)
    x[0, 0, 1, 1], x[1, 1, 2, 2] = torch.nan, torch.inf
    y, expected = F.conv2d(x, w, b, **options), torch.nn.functional.conv2d(x, w, b, **options)
    assert torch.equal(y.isnan(), expected.isnan())
    assert torch.equal(y.nan_to_num(), expected.nan_to_num())
    x = x.nan_to_num(1, 2)
    g = integers(*y.shape, seed=2)
    ours, theirs = (N.conv_transpose2d(g, w, **options) for N in (F, torch.nn.functional))
    assert torch.equal(ours, theirs)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(F.conv2d(x / 3, w, b, **options))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(result, results[0]) for result in results)


@pytest.mark.parametrize(
    ("x", "outputs", "padding", "groups"),
    [
        ((5, 16, 14, 14), 32, 1, 1),
        ((3, 33, 7, 13), 40, (0, 2), 1),
        ((2, 96, 9, 8), 24, 2, 2),
        ((1, 64, 60, 60), 64, 1, 1),
        ((70, 17, 5, 6), 9, 1, 1),
    ],
)
def test_kernels_of_3x3_in_tiles(variant, x, outputs, padding, groups):
    # Winograd's way: channels are lanes, tiles of 2x2 outputs, pictures in strips, sums over samples in parts
    options = {"padding": padding, "groups": groups}
    x, w, b = integers(*x), integers(outputs, x[1] // groups, 3, 3, seed=1), integers(outputs, seed=2)
    g = integers(*torch.conv2d(x, w, **options).shape, seed=3)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            for scale in (1.0, 0.3):
                leaves = [(t * scale).requires_grad_() for t in (x, w, b)]
                y = F.conv2d(*leaves, **options)
                results.append((y, *torch.autograd.grad(y, leaves, g)))
    finally:
        torch.set_num_threads(before)
    leaves = [t.requires_grad_() for t in (x, w, b)]
    expected = torch.nn.functional.conv2d(*leaves, **options)
    for got, want in zip(results[0], (expected, *torch.autograd.grad(expected, leaves, g)), strict=True):
        assert torch.equal(got, want)
    for exact, rounded in zip(results[2::2], results[3::2], strict=True):
        assert all(torch.equal(a, b) for a, b in zip((*exact, *rounded), (*results[0], *results[1]), strict=True))


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (1, 7), (2, 3)])
@pytest.mark.parametrize("size", [(7, 7), (5, 14), (3, 2), (20, 37)])
@pytest.mark.parametrize("stride", [1, 2])
def test_each_channel_by_itself(variant, kernel, size, stride):
    x, w, b = integers(5, 19, *size), integers(19, 1, *kernel, seed=1), integers(19, seed=2)
    x[0, 3, 1, 1], x[1, 5, 2, 0] = torch.nan, torch.inf
    options = {"padding": (kernel[0] // 2, kernel[1] // 2), "stride": stride, "groups": 19}
    y, expected = F.conv2d(x, w, b, **options), torch.conv2d(x, w, b, **options)
    assert torch.equal(y.nan_to_num(1, 2, 3), expected.nan_to_num(1, 2, 3))
    g = integers(*y.shape, seed=3)
    leaves = [t.requires_grad_() for t in (x.nan_to_num(1, 2), w, b)]
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(torch.autograd.grad(F.conv2d(*leaves, **options), leaves, g))
    finally:
        torch.set_num_threads(before)
    results.append(torch.autograd.grad(torch.conv2d(*leaves, **options), leaves, g))
    for one, three, expected in zip(*results, strict=True):
        assert torch.equal(one, three)
        assert torch.equal(one, expected)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 3e38])
def test_what_sums_of_inputs_make_infinite_is_computed_without_them(variant, value):
    # each alone is in reach of float32, a sum of four is not, and infinities of both signs cancel to NaN
    x, w = integers(3, 32, 12, 12), torch.zeros(32, 32, 3, 3)
    x[1, 2, 3:6, 4:8] = value
    w[:, :, 1, 1] = integers(32, 32).clamp(0, 1)
    for function in ("conv2d", "conv_transpose2d"):
        ours, torchs = (getattr(where, function) for where in (F, torch.nn.functional))
        y, expected = ours(x, w, padding=1), torchs(x, w, padding=1)
        assert torch.equal(y.nan_to_num(1, 2, 3), expected.nan_to_num(1, 2, 3))


@pytest.mark.parametrize(
    ("x", "w", "stride", "padding", "output_padding", "dilation"),
    [
        ((3, 1, 1, 2, 7), (1, 9, 2, 4, 2), (3, 3, 1), (0, 5, 3), (1, 1, 0), (1, 3, 2)),
        ((2, 2, 1, 1, 3), (2, 15, 1, 5, 6), (3, 3, 1), (1, 0, 2), (2, 1, 0), (3, 1, 1)),
    ],
    ids=["another tap than the first", "windows that lie outside"],
)
def test_depth_where_channels_are_lanes(variant, x, w, stride, padding, output_padding, dilation):
    x, w = integers(*x), integers(*w, seed=1)
    options = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    assert torch.equal(F.conv_transpose3d(x, w, **options), torch.conv_transpose3d(x, w, **options))
