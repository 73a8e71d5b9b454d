"""Pooling beyond the contract: what is saved, large windows, edges, bins that do not divide, exported graphs."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as T

import lightconv
import lightconv.functional as F
from lightconv.functional.adaptive_avg_pooling import adaptive_avg_pool_spread
from lightconv.functional.avg_pooling import avg_pool, avg_pool_spread
from lightconv.functional.bins import bins

INF = float("inf")


def torchs_gradient(function, x, *args, **kwargs):
    x = x.detach().clone().requires_grad_()
    y = function(x, *args, **kwargs)
    y = y[0] if isinstance(y, tuple) else y
    return torch.autograd.grad(y, x, y.detach().cos())[0]


def agree(name, x, *args, **kwargs):
    ours, theirs = getattr(F, name), getattr(T, name)
    torch.testing.assert_close(ours(x, *args, **kwargs), theirs(x, *args, **kwargs), equal_nan=True)
    torch.testing.assert_close(
        torchs_gradient(ours, x, *args, **kwargs), torchs_gradient(theirs, x, *args, **kwargs), equal_nan=True
    )


@pytest.mark.parametrize("return_indices", [False, True])
def test_max_pool_saves_one_byte_a_window(return_indices):
    saved = []
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        F.max_pool2d(x, 2, return_indices=return_indices)
    assert [(t.dtype, tuple(t.shape)) for t in saved] == [(torch.int8, (2, 3, 4, 4))]


def test_avg_pool_saves_nothing():
    saved = []
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        F.avg_pool2d(x, 2)
        F.adaptive_avg_pool2d(x, 3)
    assert not saved


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "args", [(12,), (12, 1, 6), (12, 5, 3), ((16, 9), 2), (5, 1, 2), (2, 1, 1, 3), ((3, 2), (4, 5))], ids=str
)
def test_large_windows(args, layout):
    x = torch.randn(2, 3, 17, 19).mul(3).round().contiguous(memory_format=layout)
    agree("max_pool2d", x, *args, return_indices=True)
    if len(args) < 4:
        agree("avg_pool2d", x, *args)


@pytest.mark.parametrize("function", ["max_pool1d", "adaptive_max_pool1d"])
def test_last_nan_and_first_of_equals(function):
    x = torch.tensor([[[1.0, torch.nan, torch.nan, 0.0, 7.0, 2.0, 7.0, 7.0]]])
    args = (4,) if function == "max_pool1d" else (2,)
    values, indices = getattr(F, function)(x, *args, return_indices=True)
    assert indices.tolist() == [[[2, 4]]]
    assert torch.isnan(values[0, 0, 0])
    assert values[0, 0, 1] == 7


@pytest.mark.parametrize("n", [1, 2, 3])
def test_windows_of_minus_infinity(n):
    x = torch.full((1, 2, *(5,) * n), -INF)
    agree(f"max_pool{n}d", x, 3, 2, 1, return_indices=True)
    agree(f"adaptive_max_pool{n}d", x, 3, return_indices=True)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_windows_that_read_padding_only(n):
    x = torch.ones(1, 1, *(1,) * n, requires_grad=True)
    y, indices = getattr(F, f"max_pool{n}d")(x, 2, 1, 1, 2, return_indices=True)
    assert y.item() == -INF
    assert indices.item() == n
    assert torch.autograd.grad(y, x)[0].item() == 0


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_integers_down_to_the_lowest(dtype):
    bounds = torch.iinfo(dtype)
    x = torch.tensor([[[[bounds.min, bounds.min], [bounds.min, bounds.max]]]], dtype=dtype)
    for padding in (0, 1):
        ours, theirs = (M.max_pool2d(x, 2, 1, padding, return_indices=True) for M in (F, T))
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("name", ["max_pool", "adaptive_max_pool"])
def test_with_indices(name, n):
    x = torch.randn(2, 3, *(6,) * n)
    ours = getattr(F, f"{name}{n}d_with_indices")(x, 2)
    for mine, other in zip(ours, getattr(T, f"{name}{n}d_with_indices")(x, 2), strict=True):
        assert torch.equal(mine, other)


def test_int64_means_are_cut_towards_zero():
    x = torch.tensor([[[-3, 0, 3, 4, -1, -1]]])
    assert torch.equal(F.avg_pool1d(x, 2), torch.tensor([[[-1, 3, -1]]]))
    assert torch.equal(F.avg_pool1d(x, 3, 2, 1, True, False), T.avg_pool1d(x, 3, 2, 1, True, False))


def test_half_precision_sums_are_exact_inside():
    x = torch.full((1, 1, 64, 64), 1.0, dtype=torch.bfloat16)
    x[..., 0, 0] = 256.0
    assert F.avg_pool2d(x, 64).item() == torch.tensor((4095 + 256) / 4096).bfloat16().item()
    assert F.adaptive_avg_pool2d(x, 1).item() == torch.tensor((4095 + 256) / 4096).bfloat16().item()
    g = torch.ones(1, 1, 600, dtype=torch.bfloat16)
    x = torch.zeros(1, 1, 601, dtype=torch.bfloat16)
    x[..., 300] = 1.0
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(F.max_pool1d(x, 2, 1), x, g)
    assert gradient.sum() == 600


@pytest.mark.parametrize(
    ("kernel", "stride", "pads", "ceil_mode", "count_include_pad", "divisor"),
    [
        ((3, 2), (2, 3), (1, 1, 1, 1), True, False, None),
        ((4, 4), (3, 3), (2, 2, 2, 2), True, True, None),
        ((2, 2), (2, 2), (0, 0, 0, 0), False, True, 3),
        ((9, 8), (1, 1), (0, 0, 0, 0), False, True, None),
    ],
)
def test_the_gradient_of_a_mean_is_its_adjoint(kernel, stride, pads, ceil_mode, count_include_pad, divisor):
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    rest = (kernel, stride, pads, ceil_mode, count_include_pad, divisor)
    y = avg_pool(x, *rest)
    g = torch.randn_like(y)
    torch.testing.assert_close((y * g).sum(), (x * avg_pool_spread(g, (9, 8), *rest)).sum())


@pytest.mark.parametrize(
    "sizes", [(9, 4), (4, 9), (12, 3), (3, 12), (40, 3), (3, 40), (41, 2), (1, 5), (7, 7), (300, 200)]
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_bins(sizes, layout):
    n, m = sizes
    members = torch.zeros(m, n)
    for i, (start, end) in enumerate(zip(*bins(n, m), strict=True)):
        members[i, start:end] = 1
    adjoint = torch.zeros(n, m)
    for j, (start, end) in enumerate(zip(*bins(m, n), strict=True)):
        adjoint[j, start:end] = 1
    assert torch.equal(members.T, adjoint)
    x = torch.randn(2, 3, n, 5).contiguous(memory_format=layout)
    agree("adaptive_avg_pool2d", x, (m, 2))
    agree("adaptive_max_pool2d", x, (m, 2), return_indices=True)
    agree("adaptive_max_pool2d", x.transpose(2, 3), (2, m), return_indices=True)
    y = F.adaptive_avg_pool2d(x, (m, 2))
    torch.testing.assert_close((y * y).sum(), (x * adaptive_avg_pool_spread(y, (n, 5))).sum())


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.max_pool2d(x, 3, 2, 1),
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        lambda x: F.adaptive_max_pool2d(x, (5, 4)),
        lambda x: F.adaptive_avg_pool2d(x, (5, 4)),
    ],
)
def test_the_definition_keeps_channels_last(call):
    rows = torch.randn(2, 6, 12, 13, requires_grad=True)
    last = rows.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    with lightconv.backend("definition"):
        y, z = call(rows), call(last)
        (g,), (h,) = (torch.autograd.grad(a, x, a.detach().sin()) for a, x in ((y, rows), (z, last)))
    for ours, expected in ((z, y), (h, g)):
        torch.testing.assert_close(ours, expected)
        assert ours.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("m", [2, 3, 4, 7, 20])
def test_infinity_stays_in_its_bin(m):
    x = torch.ones(1, 1, 7)
    x[..., 3] = INF
    reached = torch.isinf(F.adaptive_avg_pool1d(x, m))[0, 0].tolist()
    assert reached == [start <= 3 < end for start, end in zip(*bins(7, m), strict=True)]
    assert not torch.isnan(F.adaptive_avg_pool1d(x, m)).any()
    assert not torch.isnan(torchs_gradient(F.adaptive_avg_pool1d, torch.ones(1, 1, 7), m)).any()


def test_mean_of_everything_takes_what_torch_takes():
    x = torch.randn(2, 3, 4, 5, dtype=torch.complex64)
    torch.testing.assert_close(F.adaptive_avg_pool2d(x, 1), T.adaptive_avg_pool2d(x, 1))
    assert torch.isnan(F.adaptive_avg_pool2d(torch.zeros(2, 3, 0, 5), 1)).all()
    with pytest.raises(NotImplementedError, match="Expected `input` of adaptive_avg_pool2d to be one of"):
        F.adaptive_avg_pool2d(x, 2)


@pytest.mark.parametrize("name", ["adaptive_avg_pool2d", "adaptive_max_pool2d"])
def test_no_bins(name):
    x = torch.randn(2, 3, 4, 5, requires_grad=True)
    y = getattr(F, name)(x, (0, 2))
    assert y.shape == (2, 3, 0, 2)
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.zeros_like(x))


CALLS = {
    "max_pool": lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
    "max_pool_with_indices": lambda x: F.max_pool2d(x, 2, return_indices=True),
    "avg_pool": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
    "adaptive_avg_pool": lambda x: F.adaptive_avg_pool2d(x, 3),
    "adaptive_max_pool": lambda x: F.adaptive_max_pool2d(x, (None, 3)),
}


class Calling(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_exported_graphs_show_one_operator_for_any_size(name, strict):
    module = Calling(CALLS[name])
    open_ = torch.export.Dim.DYNAMIC
    shapes = ({0: open_, 2: open_, 3: open_},)
    program = torch.export.export(module, (torch.randn(2, 3, 8, 9),), dynamic_shapes=shapes, strict=strict)
    ours = [str(node.target) for node in program.graph.nodes if str(node.target).startswith("lightconv.")]
    assert ours == [f"lightconv.{name}.default"]
    x = torch.randn(5, 3, 13, 6)
    torch.testing.assert_close(program.module()(x), module(x))


@pytest.mark.parametrize("name", CALLS)
def test_exported_programs_can_be_trained(name):
    module = Calling(CALLS[name])
    x = torch.randn(2, 3, 8, 9, requires_grad=True)
    y = torch.export.export(module, (torch.randn(2, 3, 8, 9),)).module()(x)
    y = y[0] if isinstance(y, tuple) else y
    (gradient,) = torch.autograd.grad(y, x, y.detach().cos())
    torch.testing.assert_close(gradient, torchs_gradient(module, x))


@pytest.mark.parametrize("name", CALLS)
def test_aten_gives_the_same(name):
    x = torch.randn(2, 3, 8, 9)
    with lightconv.backend("aten"):
        theirs, gradient = CALLS[name](x), torchs_gradient(CALLS[name], x)
    torch.testing.assert_close(CALLS[name](x), theirs)
    torch.testing.assert_close(torchs_gradient(CALLS[name], x), gradient)


def test_subsample_takes_every_dtype_and_number_of_axes():
    for dtype in (torch.bool, torch.int32, torch.complex64, torch.float16):
        x = torch.randint(0, 2, (2, 3, 5, 4, 3, 2)).to(dtype)
        assert torch.equal(F.subsample(x, (2, 1, 3, 5)), x[:, :, ::2, :, ::3, ::5])


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        (lambda: F.subsample(torch.zeros(2, 3)), RuntimeError, "at least one spatial dimension"),
        (lambda: F.subsample(torch.zeros(2, 3, 4), 0), RuntimeError, "Expected `stride`"),
        (lambda: F.subsample(torch.zeros(2, 3, 4), (1, 2)), RuntimeError, "Expected `stride`"),
        (lambda: F.subsample(torch.zeros(2, 3, 4), 1.5), TypeError, "Expected `stride`"),
        (lambda: F.subsample([1.0]), TypeError, "Expected `input`"),
        (lambda: F.max_pool2d(np.zeros((1, 4, 4)), 2), TypeError, r"a numpy.ndarray of shape \(1, 4, 4\)"),
        (lambda: F.max_pool2d(torch.zeros(1, 1, 4, 4), 2, ceil_mode=1), TypeError, "Expected `ceil_mode`"),
        (lambda: F.avg_pool2d(torch.zeros(1, 1, 4, 4), 2, count_include_pad=0), TypeError, "`count_include_pad`"),
        (lambda: F.avg_pool3d(torch.zeros(1, 1, 4, 4, 4), 5, 1, 2), RuntimeError, "`kernel_size`"),
        (lambda: lightconv.nn.Subsample(0), ValueError, "Expected `stride`"),
        (lambda: lightconv.nn.Subsample(2.5), TypeError, "Expected `stride`"),
    ],
)
def test_bad_input(bad, error, words):
    with pytest.raises(error, match=words):
        bad()


@pytest.mark.parametrize("value", [np.array([1, 2]), torch.ones(2, 2)])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x, v: F.max_pool2d(x, 2, return_indices=v), "return_indices"),
        (lambda x, v: F.adaptive_max_pool2d(x, 2, return_indices=v), "return_indices"),
        (lambda x, v: F.interpolate(x, 9, antialias=v), "antialias"),
        (lambda x, v: F.interpolate(x, scale_factor=2, recompute_scale_factor=v), "recompute_scale_factor"),
        (lambda x, v: F.interpolate(x, 9, mode=v), "mode"),
    ],
)
def test_arrays_where_one_word_is_expected_are_refused(call, name, value):
    with pytest.raises((TypeError, NotImplementedError), match=f"Expected `{name}` to be .*, but got a "):
        call(torch.ones(1, 1, 4, 4), value)


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (torch.ones(1, 1, 4).to_sparse(), "sparse_coo"),
        (torch.ones(1, 1, 4).to_mkldnn(), "_mkldnn"),
        (torch.nested.nested_tensor([torch.ones(1, 4), torch.ones(1, 5)]), "a nested one"),
    ],
    ids=["sparse", "mkldnn", "nested"],
)
def test_tensors_of_another_kind_are_refused(x, kind):
    for call in (lambda: F.conv1d(x, torch.ones(1, 1, 2)), lambda: F.max_pool1d(x, 2)):
        with pytest.raises(NotImplementedError, match=f"to be a dense tensor, but got {kind}"):
            call()


@pytest.mark.parametrize("name", ["max_pool1d", "avg_pool1d"])
def test_compiling_warns_of_nothing(name):
    def halved(x):
        return getattr(F, name)(x, 2)

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        y = torch.compile(halved, fullgraph=True, backend="eager")(torch.arange(6.0).reshape(1, 1, 6))
    assert y.shape == (1, 1, 3)
