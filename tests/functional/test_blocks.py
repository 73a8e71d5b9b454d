"""conv_max_pool_relu: equal to the three calls, and lighter."""

import pytest
import torch

import lightconv
import lightconv.functional as F
from lightconv import nn


def three_calls(x, w, b, pool=2, **options):
    return torch.relu(torch.nn.functional.max_pool2d(torch.nn.functional.conv2d(x, w, b, **options), pool))


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(2)
    made = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in [(5, 4, 13, 12), (6, 2, 3, 3), (6,)]
    )
    return tuple(t.requires_grad_() for t in made)


@pytest.mark.parametrize("pool", [1, 2, 3, (2, 3)])
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 2}, {"dilation": 2}, {"padding": "same"}], ids=str)
def test_equals_the_three_calls(tensors, pool, options):
    x, w, b = tensors
    ours = F.conv_max_pool_relu(x, w, b, groups=2, pool_size=pool, **options)
    theirs = three_calls(x, w, b, pool, groups=2, **options)
    torch.testing.assert_close(ours, theirs)
    seed = torch.randn_like(theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, tensors, seed), torch.autograd.grad(theirs, tensors, seed))


def test_derivatives_to_second_order_and_forward():
    x, w, b = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in [(2, 1, 6, 6), (2, 1, 3, 3), (2,)])
    torch.autograd.gradcheck(F.conv_max_pool_relu, (x, w, b), check_forward_ad=True, check_batched_grad=True)
    torch.autograd.gradgradcheck(F.conv_max_pool_relu, (x, w, b), check_fwd_over_rev=True)


def test_saves_one_byte_an_output_beyond_what_its_neighbours_keep_anyway():
    x, w = torch.randn(8, 3, 30, 30), torch.randn(10, 3, 5, 5, requires_grad=True)
    saved = {}

    def bytes_saved(function):
        saved.clear()
        hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: saved.__setitem__(t.data_ptr(), t) or t, lambda t: t)
        with hooks:
            y = function()
        known = {x.data_ptr(), w.data_ptr(), y.data_ptr()}
        return sum(t.numel() * t.element_size() for p, t in saved.items() if p not in known), y.numel()

    ours, outputs = bytes_saved(lambda: F.conv_max_pool_relu(x, w))
    theirs, _ = bytes_saved(lambda: three_calls(x, w, None))
    assert ours == outputs
    assert theirs >= 20 * ours


def test_nan_passes_through_and_so_does_its_gradient(tensors):
    x, w, b = tensors
    with torch.no_grad():
        x[0, 0, 0, 0] = torch.nan
    ours, theirs = F.conv_max_pool_relu(x, w, b, groups=2), three_calls(x, w, b, groups=2)
    torch.testing.assert_close(ours, theirs, equal_nan=True)
    gradients = [torch.autograd.grad(y.nansum(), tensors) for y in (ours, theirs)]
    torch.testing.assert_close(*gradients, equal_nan=True)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"pool_size": 0}, RuntimeError, "`pool_size`"),
        ({"pool_size": (2, 2, 2)}, RuntimeError, "`pool_size`"),
        ({"pool_size": 12}, RuntimeError, r"at most the convolution's output size \(11, 10\)"),
        ({"pool_size": 2.0}, TypeError, "`pool_size`"),
        ({"stride": 0}, RuntimeError, "`stride`"),
        ({"groups": 3}, RuntimeError, "channels"),
    ],
)
def test_bad_arguments(tensors, change, kind, words):
    x, w, b = tensors
    with pytest.raises(kind, match=words):
        F.conv_max_pool_relu(x, w, b, **{"groups": 2, **change})


def test_integers_are_refused():
    with pytest.raises(NotImplementedError, match=r"Expected `input` of conv_max_pool_relu .* but got torch.int64"):
        F.conv_max_pool_relu(torch.ones(1, 1, 4, 4, dtype=torch.int64), torch.ones(1, 1, 3, 3, dtype=torch.int64))


def test_layer_is_a_conv2d_with_a_pool_size():
    layer = nn.ConvMaxPoolReLU(3, 4, 3, padding=1, padding_mode="reflect", pool_size=3)
    plain = torch.nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
    layer.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 9, 9)
    torch.testing.assert_close(layer(x), torch.relu(torch.nn.functional.max_pool2d(plain(x), 3)))
    assert isinstance(layer, torch.nn.Conv2d)
    assert repr(layer).endswith("padding_mode=reflect, pool_size=3)")


def test_convolutions_output_never_exists_as_a_whole():
    x = torch.zeros(64, 1, 64, 64)
    w = torch.zeros(16, 1, 3, 3)
    sizes = []
    with lightconv.workspace(1), lightconv.backend("definition"), _Sizes(sizes):
        F.conv_max_pool_relu(x, w)
    assert max(sizes) <= 64 * 16 * 31 * 31 * 4


class _Sizes(torch.utils._python_dispatch.TorchDispatchMode):
    def __init__(self, sizes):
        super().__init__()
        self.sizes = sizes

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for t in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(t, torch.Tensor) and t._base is None:
                self.sizes.append(t.untyped_storage().nbytes())
        return result
