"""The slow truth itself: the notebooks' check values, the book's figures, and torch for the general half."""

import doctest

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lightconv import reference

SIGNAL = [5.2, 5.3, 5.4, 5.1, 10.1, 10.3, 9.9, 10.3, 3.2, 3.4, 3.3, 3.1]  # notebook 10.1
ORIG_4_4 = [[1, 3, 5, 3], [6, 2, 0, 8], [4, 6, 1, 4], [2, 8, 0, 3]]  # notebook 10.4, figure 10.11
ORIG_2_2 = [[6, 8], [8, 4]]


def rand(*shape):
    return np.random.default_rng(0).normal(size=shape)


def close(ours, theirs):
    np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-12, atol=1e-12)


def test_the_examples_in_the_docstrings_are_right():
    failed, tried = doctest.testmod(reference)
    assert tried > 25
    assert not failed


def test_every_public_function_has_an_example():
    for name in reference.__all__:
        assert ">>>" in getattr(reference, name).__doc__, name


class TestNotebook101:
    @pytest.mark.parametrize(
        ("function", "omega", "total", "length"),
        [
            ("conv_3_1_1_zp", [0.33] * 3, 71.1, 12),
            ("conv_5_1_1_zp", [0.2] * 5, 69.6, 12),
            ("conv_3_1_2_zp", [0.33] * 3, 68.3, 12),
        ],
    )
    def test_sums_that_the_notebook_prints(self, function, omega, total, length):
        out = getattr(reference, function)(SIGNAL, omega)
        assert out.dtype == np.float64
        assert out.shape == (length,)
        assert float(f"{out.sum():3.3}") == total

    @pytest.mark.parametrize(
        ("function", "size", "options"),
        [
            ("conv_3_1_1_zp", 3, {"padding": 1}),
            ("conv_3_2_1_zp", 3, {"padding": 1, "stride": 2}),
            ("conv_5_1_1_zp", 5, {"padding": 2}),
            ("conv_3_1_2_zp", 3, {"padding": 2, "dilation": 2}),
        ],
    )
    @pytest.mark.parametrize("length", [1, 2, 3, 7, 12])
    def test_against_torch(self, function, size, options, length):
        x, omega = rand(length), rand(size + 1)[1:]
        theirs = F.conv1d(torch.tensor(x)[None, None], torch.tensor(omega)[None, None], **options)
        close(getattr(reference, function)(x, omega), theirs[0, 0])

    def test_stride_2_is_every_second_position(self):
        omega = [0.1, 0.5, -0.2]
        close(reference.conv_3_2_1_zp(SIGNAL, omega), reference.conv_3_1_1_zp(SIGNAL, omega)[::2])

    def test_an_integer_signal_gives_floats(self):
        out = reference.conv_3_1_1_zp([1, 2, 3], [0.5, 0.5, 0.5])
        assert out.dtype == np.float64
        close(out, [1.5, 3.0, 2.5])

    @pytest.mark.parametrize("n", [1, 2, 3, 12])
    def test_matrix(self, n):
        omega = [-1.0, 0.5, -0.2]
        matrix = reference.get_conv_mat_3_1_1_zp(n, omega)
        close(matrix @ np.array(SIGNAL[:n]), reference.conv_3_1_1_zp(SIGNAL[:n], omega))

    def test_two_convolutions_are_one_away_from_the_ends(self):
        first, second = [0.1, 0.7, -0.3], [0.4, -1.0, 0.9]
        twice = reference.conv_3_1_1_zp(reference.conv_3_1_1_zp(SIGNAL, first), second)
        once = reference.conv_5_1_1_zp(SIGNAL, reference.two_convolutions_as_one(first, second))
        close(once[1:-1], twice[1:-1])
        assert abs(once[0] - twice[0]) > 0.01
        assert abs(once[-1] - twice[-1]) > 0.01

    @pytest.mark.parametrize(
        ("function", "args", "names"),
        [
            ("conv_3_1_1_zp", (SIGNAL, [1, 2]), "omega"),
            ("conv_5_1_1_zp", (SIGNAL, [1, 2, 3]), "omega"),
            ("conv_3_1_2_zp", ([SIGNAL], [1, 2, 3]), "x_in"),
            ("get_conv_mat_3_1_1_zp", (4, [1]), "omega"),
            ("two_convolutions_as_one", ([[1]], [1]), "omega_1"),
        ],
    )
    def test_bad_input(self, function, args, names):
        with pytest.raises(ValueError, match=f"Expected `{names}` .* but got"):
            getattr(reference, function)(*args)


class TestNotebook103:
    @pytest.mark.parametrize("pad", [0, 1, 2])
    def test_version_1(self, pad):
        image, weights = rand(1, 1, 6, 5), rand(1, 1, 3, 2)
        theirs = F.conv2d(torch.tensor(image), torch.tensor(weights), padding=pad)
        close(reference.conv_numpy_1(image, weights, pad), theirs)

    @pytest.mark.parametrize("pad", [0, 1])
    @pytest.mark.parametrize("stride", [1, 2, 3])
    @pytest.mark.parametrize(
        ("function", "batch", "channels"),
        [("conv_numpy_2", 1, (1, 1)), ("conv_numpy_3", 1, (5, 2)), ("conv_numpy_4", 2, (5, 2))],
    )
    def test_versions_2_to_4(self, function, batch, channels, stride, pad):
        image, weights = rand(batch, channels[0], 12, 10), rand(channels[1], channels[0], 3, 3)
        theirs = F.conv2d(torch.tensor(image), torch.tensor(weights), stride=stride, padding=pad)
        ours = getattr(reference, function)(image, weights, stride, pad)
        assert ours.dtype == np.float64
        close(ours, theirs)

    def test_the_notebooks_defaults(self):
        image, weights = rand(1, 1, 5, 5), rand(1, 1, 3, 3)
        for version in (1, 2, 3, 4):
            ours = getattr(reference, f"conv_numpy_{version}")(image, weights)
            close(ours, F.conv2d(torch.tensor(image), torch.tensor(weights), padding=1))

    @pytest.mark.parametrize(
        ("function", "image", "weights", "names"),
        [
            ("conv_numpy_1", (2, 1, 4, 4), (1, 1, 3, 3), "image"),
            ("conv_numpy_2", (1, 2, 4, 4), (1, 2, 3, 3), "image"),
            ("conv_numpy_2", (1, 1, 4, 4), (2, 1, 3, 3), "weights"),
            ("conv_numpy_3", (2, 2, 4, 4), (3, 2, 3, 3), "image"),
            ("conv_numpy_4", (2, 2, 4, 4), (3, 1, 3, 3), "weights"),
            ("conv_numpy_4", (2, 4, 4), (3, 1, 3, 3), "image"),
            ("conv_numpy_4", (1, 1, 2, 2), (1, 1, 5, 5), "image"),
        ],
    )
    def test_bad_shapes(self, function, image, weights, names):
        with pytest.raises(ValueError, match=f"`{names}` .* but got"):
            getattr(reference, function)(rand(*image), rand(*weights))


class TestNotebook104:
    @pytest.mark.parametrize("shape", [(4, 4), (5, 7), (1, 1), (2, 3)])
    def test_downsampling_against_torch(self, shape):
        x = rand(*shape)
        image = torch.tensor(x)[None, None]
        close(reference.subsample(x), x[::2, ::2])
        if min(shape) > 1:
            close(reference.maxpool(x), F.max_pool2d(image, 2)[0, 0])
            close(reference.meanpool(x), F.avg_pool2d(image, 2)[0, 0])

    def test_figure_10_11(self):
        close(reference.downsample(ORIG_4_4), [[1, 5], [4, 1]])
        close(reference.maxpool(ORIG_4_4), ORIG_2_2)
        close(reference.meanpool(ORIG_4_4), [[3, 4], [5, 2]])

    def test_figure_10_12(self):
        close(reference.duplicate(ORIG_2_2), [[6, 6, 8, 8], [6, 6, 8, 8], [8, 8, 4, 4], [8, 8, 4, 4]])
        close(reference.max_unpool(ORIG_2_2, ORIG_4_4), [[0, 0, 0, 0], [6, 0, 0, 8], [0, 0, 0, 4], [0, 8, 0, 0]])
        close(reference.bilinear(ORIG_2_2), [[6, 7, 8, 4], [7, 6.5, 6, 3], [8, 6, 4, 2], [4, 3, 2, 1]])

    def test_unpooling_ties_go_to_the_first_in_row_order(self):
        close(reference.max_unpool([[9]], [[1, 1], [1, 1]]), [[9, 0], [0, 0]])
        close(reference.max_unpool([[9]], [[0, 1], [1, 1]]), [[0, 9], [0, 0]])

    def test_unpooling_next_to_an_odd_picture(self):
        high = rand(5, 7)
        out = reference.max_unpool(reference.maxpool(high), high)
        assert out.shape == (4, 6)
        close(reference.maxpool(np.where(out == 0, -np.inf, out)), reference.maxpool(high))

    @pytest.mark.parametrize("shape", [(1, 1), (3, 5), (4, 4)])
    def test_bilinear_is_a_transposed_convolution_with_a_tent(self, shape):
        x = rand(*shape)
        tent = torch.tensor([0.5, 1.0, 0.5], dtype=torch.float64)
        full = F.conv_transpose2d(torch.tensor(x)[None, None], torch.outer(tent, tent)[None, None], stride=2)
        close(reference.bilinear(x), full[0, 0, 1:, 1:])

    @pytest.mark.parametrize("function", ["subsample", "downsample", "maxpool", "meanpool", "duplicate", "bilinear"])
    def test_floats_out_of_integers_and_only_pictures_in(self, function):
        assert getattr(reference, function)(ORIG_4_4).dtype == np.float64
        with pytest.raises(ValueError, match="Expected `x_in` to be a 2-D array, but got one of shape"):
            getattr(reference, function)(rand(1, 4, 4))

    def test_unpooling_with_too_small_a_picture(self):
        with pytest.raises(
            ValueError, match=r"Expected `x_high_res` to be at least of shape \(4, 4\).*but got \(3, 4\)"
        ):
            reference.max_unpool(ORIG_2_2, rand(3, 4))


# The general half: every option once against torch, in every number of dimensions torch has.

SPATIAL = {1: (7,), 2: (6, 5), 3: (5, 4, 3)}
DIMENSIONS = pytest.mark.parametrize("n", [1, 2, 3])


def torchs(name, n, *args, **kwargs):
    args = [torch.tensor(a) if isinstance(a, np.ndarray) else a for a in args]
    return getattr(F, f"{name}{n}d")(*args, **kwargs)


@DIMENSIONS
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"padding": 1},
        {"dilation": 2, "padding": 2},
        {"groups": 2},
        {"stride": 2, "padding": 1, "groups": 2},
    ],
    ids=str,
)
def test_conv(n, options):
    x, weight, bias = rand(2, 4, *SPATIAL[n]), rand(6, 4 // options.get("groups", 1), *(2, 3, 2)[:n]), rand(6)
    close(reference.conv(x, weight, bias, **options), torchs("conv", n, x, weight, bias, **options))


@DIMENSIONS
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "output_padding": 1},
        {"padding": 1},
        {"dilation": 2},
        {"groups": 2},
        {"stride": 3, "padding": 2, "output_padding": 2, "groups": 2, "dilation": 2},
    ],
    ids=str,
)
def test_conv_transpose(n, options):
    x, weight, bias = rand(2, 4, *SPATIAL[n]), rand(4, 3, *(2, 3, 2)[:n]), rand(3 * options.get("groups", 1))
    close(reference.conv_transpose(x, weight, bias, **options), torchs("conv_transpose", n, x, weight, bias, **options))


def test_conv_of_complex_numbers():
    x, weight = rand(1, 2, 5) + 1j * rand(1, 2, 5)[::-1], rand(3, 2, 2) * (1 - 2j)
    close(reference.conv(x, weight), torchs("conv", 1, x, weight))


@DIMENSIONS
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 1},
        {"stride": 2, "ceil_mode": True},
        {"padding": 1},
        {"stride": 3, "padding": 1, "ceil_mode": True},
    ],
    ids=str,
)
def test_pooling(n, options):
    x = rand(2, 2, *SPATIAL[n])
    x.flat[::5] = 0.7  # ties
    values, indices = torchs("max_pool", n, x, 2, return_indices=True, **options)
    ours, where = reference.max_pool(x, 2, **options)
    close(ours, values)
    np.testing.assert_array_equal(where, indices)
    for include in (True, False):
        close(
            reference.avg_pool(x, 2, count_include_pad=include, **options),
            torchs("avg_pool", n, x, 2, count_include_pad=include, **options),
        )
    if n > 1:
        close(
            reference.avg_pool(x, 2, divisor_override=3, **options),
            torchs("avg_pool", n, x, 2, divisor_override=3, **options),
        )


@DIMENSIONS
def test_max_pool_with_dilation_and_nan(n):
    x = rand(2, 2, *(2 * s for s in SPATIAL[n]))
    x.flat[::7] = np.nan
    values, indices = torchs("max_pool", n, x, 2, stride=1, dilation=2, return_indices=True)
    ours, where = reference.max_pool(x, 2, stride=1, dilation=2)
    close(ours, values)
    np.testing.assert_array_equal(where, indices)


@DIMENSIONS
@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_adaptive_pooling(n, size):
    x = rand(2, 2, *SPATIAL[n])
    values, indices = torchs("adaptive_max_pool", n, x, size, return_indices=True)
    ours, where = reference.adaptive_max_pool(x, size)
    close(ours, values)
    np.testing.assert_array_equal(where, indices)
    close(reference.adaptive_avg_pool(x, size), torchs("adaptive_avg_pool", n, x, size))


@DIMENSIONS
def test_unpool(n):
    x = rand(2, 2, *SPATIAL[n])
    values, indices = torchs("max_pool", n, x, 2, return_indices=True)
    theirs = torchs("max_unpool", n, values, indices, 2, output_size=SPATIAL[n])
    close(reference.unpool(values, indices, SPATIAL[n]), theirs)


MODES = {
    "nearest": ("nearest", (1, 2, 3)),
    "nearest-exact": ("nearest-exact", (1, 2, 3)),
    "area": ("area", (1, 2, 3)),
    "linear": ({1: "linear", 2: "bilinear", 3: "trilinear"}, (1, 2, 3)),
    "cubic": ({2: "bicubic"}, (2,)),
}


SIZES = [{"size": 1}, {"size": 3}, {"size": 8}]
FACTORS = [{"scale_factor": 2.0}, {"scale_factor": 1.5}, {"scale_factor": 0.6}]


def resamplings():
    for mode in MODES:
        for n in MODES[mode][1]:
            for options in SIZES + FACTORS + [{**factor, "recompute_scale_factor": True} for factor in FACTORS]:
                yield mode, n, options
            if mode in ("linear", "cubic"):
                yield from ((mode, n, {**options, "align_corners": True}) for options in SIZES + FACTORS)
            if mode in ("linear", "cubic") and n == 2:
                yield from ((mode, n, {**options, "antialias": True}) for options in SIZES + FACTORS)


@pytest.mark.parametrize(("mode", "n", "options"), list(resamplings()), ids=str)
def test_interpolate(mode, n, options):
    name = MODES[mode][0]
    x = rand(2, 2, *SPATIAL[n])
    theirs = F.interpolate(torch.tensor(x), mode=name if isinstance(name, str) else name[n], **options)
    close(reference.interpolate(x, mode=mode, **options), theirs)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_upsample_zeros(shape, factor):
    x = rand(2, 2, *shape)
    ours = reference.upsample_zeros(x, factor)
    assert ours.shape[2:] == tuple(factor * s for s in shape)
    close(ours[(..., *(slice(None, None, factor),) * len(shape))], x)
    if len(shape) == 2 and factor == 2:
        for b, c in np.ndindex(2, 2):
            close(ours[b, c], reference.bilinear(x[b, c]))


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2}, {"padding": 1}, {"dilation": 2}, {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}],
    ids=str,
)
def test_unfold_and_fold(options):
    x = rand(2, 3, 6, 7)
    theirs = F.unfold(torch.tensor(x), (2, 3), **options)
    ours = reference.unfold(x, (2, 3), **options)
    close(ours, theirs)
    close(reference.fold(ours, (6, 7), (2, 3), **options), F.fold(theirs, (6, 7), (2, 3), **options))


@pytest.mark.parametrize("n", [1, 3, 4])
def test_unfold_is_the_convolution_as_a_matrix_in_every_dimension(n):
    spatial = (5, 4, 3, 3)[:n]
    x, weight = rand(1, 2, *spatial), rand(3, 2, *(2,) * n)
    columns = reference.unfold(x, (2,) * n, padding=1)
    out = reference.conv(x, weight, padding=1)
    close(np.einsum("ok,bkl->bol", weight.reshape(3, -1), columns), out.reshape(1, 3, -1))


def test_numpy_is_the_only_heavy_import():
    with open(reference.__file__) as source:
        imports = [line.split()[1].split(".")[0] for line in source if line.startswith(("import ", "from "))]
    assert set(imports) == {"math", "collections", "typing", "numpy"}
