"""Laws that hold whatever the implementation: adjoints, inverses, linearity; and agreement with the slow reference."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import own, unfolding
from contract import Subject
from torch import Tensor

from lightconv import reference

DIMENSIONS = pytest.mark.parametrize("n", [1, 2, 3], ids=["1-D", "2-D", "3-D"])
SPATIAL = {1: (9,), 2: (6, 7), 3: (5, 4, 6)}


def function(subject: Subject, name: str) -> Any:
    if subject.name == "torch":
        truths = {"unfold": unfolding.unfold_in_n, "fold": unfolding.fold_in_n}
        return truths.get(name) or getattr(own, name, None) or getattr(torch.nn.functional, name)
    found = getattr(subject.functional, name, None)
    if found is None or found is getattr(torch.nn.functional, name, None):
        pytest.skip(f"{subject.name}.functional.{name} does not exist yet")
    return found


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ties(*shape: int, seed: int = 0) -> Tensor:
    return rand(*shape, seed=seed).round().clamp(-1, 1)


def equal(a: Any, b: Any, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(torch.as_tensor(a), torch.as_tensor(b), rtol=tolerance, atol=tolerance)


def inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum()


# Convolution


WALKS = [
    {"stride": 1, "padding": 0, "dilation": 1, "groups": 1},
    {"stride": 2, "padding": 1, "dilation": 1, "groups": 1},
    {"stride": 3, "padding": 2, "dilation": 2, "groups": 2},
    {"stride": 1, "padding": 1, "dilation": 3, "groups": 4},
]


@DIMENSIONS
@pytest.mark.parametrize("walk", WALKS, ids=str)
def test_transposed_convolution_is_the_adjoint_of_convolution(subject: Subject, n: int, walk: dict[str, int]) -> None:
    """<conv(x), y> = <x, conv_transpose(y)> with the same weight."""
    conv, transpose = function(subject, f"conv{n}d"), function(subject, f"conv_transpose{n}d")
    x, weight = rand(2, 4, *(2 * s for s in SPATIAL[n])), rand(8, 4 // walk["groups"], *(2,) * n, seed=1)
    convolved = conv(x, weight, **walk)
    y = rand(*convolved.shape, seed=2)
    smallest = transpose(y, weight, **walk)
    missing = tuple(a - b for a, b in zip(x.shape[2:], smallest.shape[2:], strict=True))
    back = transpose(y, weight, output_padding=missing, **walk)
    assert back.shape == x.shape
    equal(inner(convolved, y), inner(x, back))


@DIMENSIONS
@pytest.mark.parametrize("walk", WALKS, ids=str)
def test_transposed_convolution_is_the_gradient_of_convolution(subject: Subject, n: int, walk: dict[str, int]) -> None:
    conv, transpose = function(subject, f"conv{n}d"), function(subject, f"conv_transpose{n}d")
    x = rand(2, 4, *(2 * s for s in SPATIAL[n])).requires_grad_()
    weight = rand(8, 4 // walk["groups"], *(2,) * n, seed=1)
    convolved = conv(x, weight, **walk)
    y = rand(*convolved.shape, seed=2)
    (gradient,) = torch.autograd.grad(convolved, x, y)
    smallest = transpose(y, weight, **walk)
    equal(gradient[(..., *(slice(0, s) for s in smallest.shape[2:]))], smallest)


@DIMENSIONS
@pytest.mark.parametrize("name", ["conv", "conv_transpose"])
def test_convolution_is_linear_in_input_and_weight(subject: Subject, n: int, name: str) -> None:
    f = function(subject, f"{name}{n}d")
    x, y = rand(2, 3, *SPATIAL[n]), rand(2, 3, *SPATIAL[n], seed=1)
    w, v = rand(3, 3, *(2,) * n, seed=2), rand(3, 3, *(2,) * n, seed=3)
    equal(f(2 * x - 3 * y, w, stride=2), 2 * f(x, w, stride=2) - 3 * f(y, w, stride=2))
    equal(f(x, 2 * w - 3 * v, stride=2), 2 * f(x, w, stride=2) - 3 * f(x, v, stride=2))


@DIMENSIONS
def test_convolution_commutes_with_a_shift(subject: Subject, n: int) -> None:
    """Equivariance (section 10.2.1): away from the border, a shifted input gives the shifted output."""
    conv = function(subject, f"conv{n}d")
    x, w = rand(1, 2, *SPATIAL[n]), rand(3, 2, *(2,) * n, seed=1)
    shifted = torch.roll(x, (1,) * n, tuple(range(2, n + 2)))
    inside = (..., *(slice(1, None),) * n)
    before = (..., *(slice(None, -1),) * n)
    equal(conv(shifted, w)[inside], conv(x, w)[before])


@DIMENSIONS
def test_convolution_is_unfold_and_a_matrix_product(subject: Subject, n: int) -> None:
    conv, unfold = function(subject, f"conv{n}d"), function(subject, "unfold")
    x, w = rand(2, 3, *SPATIAL[n]), rand(4, 3, *(2, 3, 2)[:n], seed=1)
    columns = unfold(x, (2, 3, 2)[:n], padding=(1,) * n, stride=(2,) * n)
    out = conv(x, w, stride=2, padding=1)
    equal(torch.einsum("ok,bkl->bol", w.flatten(1), columns), out.flatten(2))


@DIMENSIONS
def test_a_convolution_without_input_channels_is_its_bias(subject: Subject, n: int) -> None:
    """By definition, an empty sum is zero. (Torch's CPU kernels return no output channel at all.)"""
    if subject.name == "torch":
        pytest.skip("torch has no output channels here")
    conv = function(subject, f"conv{n}d")
    x, w, b = torch.zeros(2, 0, *SPATIAL[n], dtype=torch.float64), torch.zeros(4, 0, *(2,) * n).double(), rand(4)
    equal(conv(x, w, b), reference.conv(x.numpy(), w.numpy(), b.numpy()))


@DIMENSIONS
def test_groups_are_convolutions_side_by_side(subject: Subject, n: int) -> None:
    conv = function(subject, f"conv{n}d")
    x, w = rand(2, 6, *SPATIAL[n]), rand(9, 2, *(2,) * n, seed=1)
    parts = [conv(x[:, 2 * g : 2 * g + 2], w[3 * g : 3 * g + 3]) for g in range(3)]
    equal(conv(x, w, groups=3), torch.cat(parts, 1))


# Pooling and unpooling


@DIMENSIONS
@pytest.mark.parametrize("draw", [rand, ties], ids=["distinct", "ties"])
def test_unpooling_after_pooling_restores_the_maxima_at_their_places(subject: Subject, n: int, draw: Any) -> None:
    pool, unpool = function(subject, f"max_pool{n}d"), function(subject, f"max_unpool{n}d")
    x = draw(2, 3, *SPATIAL[n])
    maxima, places = pool(x, 2, return_indices=True)
    back = unpool(maxima, places, 2, output_size=SPATIAL[n])
    assert back.shape == x.shape
    chosen = torch.zeros_like(x).flatten(2).scatter(2, places.flatten(2), 1.0).view_as(x).bool()
    assert chosen.sum() == maxima.numel()
    assert torch.equal(back[chosen], x[chosen])
    assert not back[~chosen].any()


@DIMENSIONS
@pytest.mark.parametrize("draw", [rand, ties], ids=["distinct", "ties"])
def test_an_index_says_where_the_maximum_is(subject: Subject, n: int, draw: Any) -> None:
    pool = function(subject, f"max_pool{n}d")
    x = draw(2, 3, *SPATIAL[n])
    for options in ({}, {"stride": 1, "padding": 1}, {"dilation": 2, "stride": 2}, {"ceil_mode": True, "stride": 3}):
        maxima, places = pool(x, 2, return_indices=True, **options)
        assert torch.equal(x.flatten(2).gather(2, places.flatten(2)).view_as(maxima), maxima)


@DIMENSIONS
def test_the_gradient_of_max_pooling_goes_to_the_maxima(subject: Subject, n: int) -> None:
    """Also at ties: the whole gradient goes to one element, and it is the one of the index."""
    pool = function(subject, f"max_pool{n}d")
    x = ties(2, 3, *SPATIAL[n]).requires_grad_()
    maxima, places = pool(x, 2, stride=1, return_indices=True)
    weights = rand(*maxima.shape, seed=1)
    (gradient,) = torch.autograd.grad(maxima, x, weights)
    expected = torch.zeros_like(x).flatten(2).scatter_add(2, places.flatten(2), weights.flatten(2))
    equal(gradient, expected.view_as(x))


@DIMENSIONS
@pytest.mark.parametrize("name", ["avg_pool", "adaptive_avg_pool"])
def test_averages_are_linear_and_keep_a_constant(subject: Subject, n: int, name: str) -> None:
    pool = function(subject, f"{name}{n}d")
    x, y = rand(2, 3, *SPATIAL[n]), rand(2, 3, *SPATIAL[n], seed=1)
    equal(pool(2 * x - 3 * y, 2), 2 * pool(x, 2) - 3 * pool(y, 2))
    ones = torch.ones_like(x)
    equal(pool(ones, 2), torch.ones_like(pool(ones, 2)))


@DIMENSIONS
def test_max_pooling_is_monotone_and_above_the_mean(subject: Subject, n: int) -> None:
    pool, mean = function(subject, f"max_pool{n}d"), function(subject, f"avg_pool{n}d")
    x, more = rand(2, 3, *SPATIAL[n]), rand(2, 3, *SPATIAL[n], seed=1).abs()
    assert (pool(x + more, 2) >= pool(x, 2)).all()
    assert (pool(x, 2) >= mean(x, 2) - 1e-12).all()


@DIMENSIONS
def test_adaptive_pooling_to_a_divisor_is_pooling(subject: Subject, n: int) -> None:
    x = rand(2, 3, *(6,) * n)
    for kind in ("max", "avg"):
        pool, adaptive = function(subject, f"{kind}_pool{n}d"), function(subject, f"adaptive_{kind}_pool{n}d")
        equal(adaptive(x, 3), pool(x, 2))


# Unfold and fold


@DIMENSIONS
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_fold_after_unfold_is_the_overlap_count_times_the_input(subject: Subject, n: int, stride: int) -> None:
    unfold, fold = function(subject, "unfold"), function(subject, "fold")
    x, kernel = rand(2, 3, *SPATIAL[n]), (2, 3, 2)[:n]
    walk = {"padding": (1,) * n, "stride": (stride,) * n}
    count = np.zeros(SPATIAL[n])
    for o in np.ndindex(*(len(range(-1, s + 2 - k, stride)) for s, k in zip(SPATIAL[n], kernel, strict=True))):
        for k in np.ndindex(*kernel):
            at = tuple(o[a] * stride - 1 + k[a] for a in range(n))
            if all(0 <= p < s for p, s in zip(at, SPATIAL[n], strict=True)):
                count[at] += 1
    equal(fold(unfold(x, kernel, **walk), SPATIAL[n], kernel, **walk), torch.from_numpy(count) * x)


@DIMENSIONS
def test_fold_is_the_adjoint_of_unfold(subject: Subject, n: int) -> None:
    unfold, fold = function(subject, "unfold"), function(subject, "fold")
    x, kernel = rand(2, 3, *SPATIAL[n]), (2, 3, 2)[:n]
    walk = {"padding": (1,) * n, "stride": (2,) * n, "dilation": (1, 1, 2)[:n]}
    columns = unfold(x, kernel, **walk)
    y = rand(*columns.shape, seed=1)
    equal(inner(columns, y), inner(x, fold(y, SPATIAL[n], kernel, **walk)))


# Resampling


MODES = [
    *((mode, n) for mode in ("nearest", "nearest-exact", "area") for n in (1, 2, 3)),
    ("linear", 1),
    ("bilinear", 2),
    ("bicubic", 2),
    ("trilinear", 3),
]


@pytest.mark.parametrize(("mode", "n"), MODES)
@pytest.mark.parametrize("factor", [2, 1.5, 0.6])
def test_resampling_is_linear_and_keeps_a_constant(subject: Subject, mode: str, n: int, factor: float) -> None:
    interpolate = function(subject, "interpolate")
    x, y = rand(2, 3, *SPATIAL[n]), rand(2, 3, *SPATIAL[n], seed=1)

    def f(t: Tensor) -> Tensor:
        return interpolate(t, scale_factor=factor, mode=mode)

    equal(f(2 * x - 3 * y), 2 * f(x) - 3 * f(y))
    equal(f(torch.full_like(x, 7.0)), torch.full_like(f(x), 7.0))


@pytest.mark.parametrize(("mode", "n"), [("linear", 1), ("bilinear", 2), ("trilinear", 3), ("bicubic", 2)])
def test_aligned_corners_stay(subject: Subject, mode: str, n: int) -> None:
    interpolate = function(subject, "interpolate")
    x = rand(2, 3, *SPATIAL[n])
    out = interpolate(x, scale_factor=2, mode=mode, align_corners=True)
    for corner in np.ndindex(*(2,) * n):
        at = (..., *(-c for c in corner))
        equal(out[at], x[at])


@DIMENSIONS
def test_subsample_undoes_what_enlarges(subject: Subject, n: int) -> None:
    subsample, duplicate = function(subject, "subsample"), function(subject, "duplicate")
    zeros = function(subject, "upsample_bilinear_zeros")
    x = rand(2, 3, *SPATIAL[n])
    for factor in (2, 3):
        equal(subsample(duplicate(x, factor), factor), x)
        equal(subsample(zeros(x, factor), factor), x)


@DIMENSIONS
def test_enlarging_with_zeros_is_linear(subject: Subject, n: int) -> None:
    zeros = function(subject, "upsample_bilinear_zeros")
    x, y = rand(2, 3, *SPATIAL[n]), rand(2, 3, *SPATIAL[n], seed=1)
    equal(zeros(2 * x - 3 * y, 3), 2 * zeros(x, 3) - 3 * zeros(y, 3))


def test_the_fused_block_is_its_three_parts(subject: Subject) -> None:
    conv, pool = function(subject, "conv2d"), function(subject, "max_pool2d")
    fused = function(subject, "conv_max_pool_relu")
    for draw in (rand, ties):
        x, w, b = draw(2, 3, 12, 11).requires_grad_(), draw(4, 3, 3, 3, seed=1), draw(4, seed=2)
        whole, parts = fused(x, w, b), torch.relu(pool(conv(x, w, b), 2))
        equal(whole, parts)
        y = rand(*whole.shape, seed=3)
        equal(torch.autograd.grad(whole, x, y)[0], torch.autograd.grad(parts, x, y)[0])


# Ours beside the slow reference, without torch in between


def both(ours: Any, slow: Any) -> None:
    for mine, known in zip(*((r if isinstance(r, tuple) else (r,)) for r in (ours, slow)), strict=True):
        np.testing.assert_allclose(mine.numpy(), known, rtol=1e-10, atol=1e-10)


@DIMENSIONS
@pytest.mark.parametrize("walk", WALKS, ids=str)
def test_convolutions_beside_the_reference(subject: Subject, n: int, walk: dict[str, int]) -> None:
    x, b = rand(2, 4, *SPATIAL[n]), rand(8, seed=2)
    w = rand(8, 4 // walk["groups"], *(2,) * n, seed=1)
    both(function(subject, f"conv{n}d")(x, w, b, **walk), reference.conv(x.numpy(), w.numpy(), b.numpy(), **walk))
    w = rand(4, 8 // walk["groups"], *(2,) * n, seed=1)
    both(
        function(subject, f"conv_transpose{n}d")(x, w, b, **walk),
        reference.conv_transpose(x.numpy(), w.numpy(), b.numpy(), **walk),
    )


@DIMENSIONS
@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 1, "padding": 1}, {"stride": 3, "ceil_mode": True}, {"stride": 2, "padding": 1, "ceil_mode": True}],
    ids=str,
)
def test_pooling_beside_the_reference(subject: Subject, n: int, options: dict[str, Any]) -> None:
    for x in (rand(2, 3, *SPATIAL[n]), ties(2, 3, *SPATIAL[n])):
        for dilation in (1, 2):
            both(
                function(subject, f"max_pool{n}d")(x, 2, dilation=dilation, return_indices=True, **options),
                reference.max_pool(x.numpy(), 2, dilation=dilation, **options),
            )
        for counted in (True, False):
            both(
                function(subject, f"avg_pool{n}d")(x, 2, count_include_pad=counted, **options),
                reference.avg_pool(x.numpy(), 2, count_include_pad=counted, **options),
            )


@DIMENSIONS
@pytest.mark.parametrize("size", [1, 3, 4, 11])
def test_adaptive_pooling_beside_the_reference(subject: Subject, n: int, size: int) -> None:
    x = ties(2, 3, *SPATIAL[n])
    both(
        function(subject, f"adaptive_max_pool{n}d")(x, size, return_indices=True),
        reference.adaptive_max_pool(x.numpy(), size),
    )
    both(function(subject, f"adaptive_avg_pool{n}d")(x, size), reference.adaptive_avg_pool(x.numpy(), size))


@DIMENSIONS
def test_unpooling_beside_the_reference(subject: Subject, n: int) -> None:
    """Indices repeat, so the last one of each must win."""
    x, size = rand(2, 3, *SPATIAL[n]), tuple(2 * s for s in SPATIAL[n])
    places = torch.randint(math.prod(SPATIAL[n]) // 2, x.shape, generator=torch.Generator().manual_seed(1))
    ours = function(subject, f"max_unpool{n}d")(x, places, 2)
    both(ours, reference.unpool(x.numpy(), places.numpy(), size))


@DIMENSIONS
def test_folding_beside_the_reference(subject: Subject, n: int) -> None:
    x, kernel = rand(2, 3, *SPATIAL[n]), (2, 3, 2)[:n]
    walk: dict[str, Any] = {"padding": (1,) * n, "stride": (2,) * n, "dilation": (1, 1, 2)[:n]}
    columns = function(subject, "unfold")(x, kernel, **walk)
    both(columns, reference.unfold(x.numpy(), kernel, **walk))
    both(
        function(subject, "fold")(columns, SPATIAL[n], kernel, **walk),
        reference.fold(columns.numpy(), SPATIAL[n], kernel, **walk),
    )


@pytest.mark.parametrize(("mode", "n"), MODES)
@pytest.mark.parametrize(
    "options",
    [{"size": 4}, {"size": 13}, {"scale_factor": 2.0}, {"scale_factor": 1.5}, {"scale_factor": 0.75}],
    ids=str,
)
def test_resampling_beside_the_reference(subject: Subject, mode: str, n: int, options: dict[str, Any]) -> None:
    x = rand(2, 2, *SPATIAL[n])
    plain = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    interpolate = function(subject, "interpolate")
    both(interpolate(x, mode=mode, **options), reference.interpolate(x.numpy(), mode=plain, **options))
    if plain in ("linear", "cubic"):
        both(
            interpolate(x, mode=mode, align_corners=True, **options),
            reference.interpolate(x.numpy(), mode=plain, align_corners=True, **options),
        )
    if mode in ("bilinear", "bicubic"):
        both(
            interpolate(x, mode=mode, antialias=True, **options),
            reference.interpolate(x.numpy(), mode=plain, antialias=True, **options),
        )


@DIMENSIONS
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_enlarging_beside_the_reference(subject: Subject, n: int, factor: int) -> None:
    x = rand(2, 2, *SPATIAL[n])
    both(function(subject, "upsample_bilinear_zeros")(x, factor), reference.upsample_zeros(x.numpy(), factor))


def test_the_notebooks_pictures(subject: Subject) -> None:
    """Notebook 10.4's functions, picture by picture, are our layers with kernel and factor 2."""
    x = rand(2, 3, 7, 6)
    unpooled, places = function(subject, "max_pool2d")(x, 2, return_indices=True)
    ours = {
        "subsample": function(subject, "subsample")(x),
        "maxpool": unpooled,
        "meanpool": function(subject, "avg_pool2d")(x, 2),
        "duplicate": function(subject, "duplicate")(x),
        "bilinear": function(subject, "upsample_bilinear_zeros")(x),
    }
    restored = function(subject, "max_unpool2d")(unpooled, places, 2, output_size=(7, 6))[..., :6, :]
    for b, c in np.ndindex(2, 3):
        picture = x[b, c].numpy()
        for name, result in ours.items():
            np.testing.assert_allclose(result[b, c].numpy(), getattr(reference, name)(picture), atol=1e-12)
        np.testing.assert_allclose(restored[b, c].numpy(), reference.max_unpool(reference.maxpool(picture), picture))


def test_the_notebooks_convolutions(subject: Subject) -> None:
    signal = torch.tensor([5.2, 5.3, 5.4, 5.1, 10.1, 10.3, 9.9, 10.3, 3.2, 3.4, 3.3, 3.1], dtype=torch.float64)
    conv = function(subject, "conv1d")
    third, fifth = torch.full((1, 1, 3), 0.33).double(), torch.full((1, 1, 5), 0.2).double()
    assert f"{conv(signal[None], third, padding=1).sum():3.3}" == "71.1"
    assert f"{conv(signal[None], fifth, padding=2).sum():3.3}" == "69.6"
    assert f"{conv(signal[None], third, padding=2, dilation=2).sum():3.3}" == "68.3"
    both(
        conv(signal[None], third, padding=1, stride=2)[0],
        reference.conv_3_2_1_zp(signal.numpy(), third.flatten().numpy()),
    )
    image, weights = rand(2, 3, 12, 10), rand(4, 3, 3, 3, seed=1)
    both(
        function(subject, "conv2d")(image, weights, stride=2, padding=1),
        reference.conv_numpy_4(image.numpy(), weights.numpy(), stride=2, pad=1),
    )


def test_one_column_is_smoothed_like_one_row(subject: Subject) -> None:
    """Torch repeats the first element of a column where antialias enlarges it; by definition rows and columns agree."""
    if subject.name == "torch":
        pytest.skip("torch does not keep this law")
    interpolate = function(subject, "interpolate")
    row = rand(1, 2, 1, 4)
    for mode, plain in (("bilinear", "linear"), ("bicubic", "cubic")):
        across = interpolate(row, (1, 7), mode=mode, antialias=True)
        down = interpolate(row.transpose(2, 3).contiguous(), (7, 1), mode=mode, antialias=True)
        equal(down.transpose(2, 3), across)
        both(across, reference.interpolate(row.numpy(), (1, 7), mode=plain, antialias=True))
