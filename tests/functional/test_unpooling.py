"""Unpooling beyond the contract: it undoes pooling, the last of several wins, and bad indices are named."""

import pytest
import torch
import torch.nn.functional as T
from versions import AS_TESTED

import lightconv.functional as F
from lightconv.functional.unpooling import _last_ones


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 3, 0)])
def test_unpooling_restores_the_maxima_at_their_places(n, kernel, stride, padding):
    x = torch.randn(2, 3, *(8,) * n)
    pooled, indices = getattr(F, f"max_pool{n}d")(x, kernel, stride, padding, return_indices=True)
    y = getattr(F, f"max_unpool{n}d")(pooled, indices, kernel, stride, padding, output_size=x.shape)
    rows = torch.zeros_like(x).flatten(2).scatter(2, indices.flatten(2), 1.0)
    torch.testing.assert_close(y, x * rows.reshape(x.shape), rtol=0, atol=0)
    again = getattr(F, f"max_pool{n}d")(torch.where(y == 0, -torch.inf, y), kernel, stride, padding)
    torch.testing.assert_close(again, pooled, rtol=0, atol=0)


def test_the_last_of_several_stays_and_all_get_the_gradient():
    x = torch.tensor([[[1.0, 2.0, 3.0]]], requires_grad=True)
    y = F.max_unpool1d(x, torch.tensor([[[1, 1, 4]]]), 2)
    assert y.tolist() == [[[0, 2, 0, 0, 3, 0]]]
    (gradient,) = torch.autograd.grad(y, x, torch.arange(6.0).reshape(1, 1, 6))
    assert gradient.tolist() == [[[1, 1, 4]]]


def test_the_form_for_devices_that_scatter_in_any_order():
    for seed in range(20):
        torch.manual_seed(seed)
        x, indices = torch.randn(2, 3, 9), torch.randint(0, 12, (2, 3, 9))
        expected = torch.zeros(2, 3, 12)
        for i in range(9):
            expected.scatter_(2, indices[..., i : i + 1], x[..., i : i + 1])
        assert torch.equal(_last_ones(x, indices, 12), expected)


def test_nothing_raises_under_deterministic_algorithms():
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    indices = torch.randint(0, 64, x.shape)
    torch.use_deterministic_algorithms(True)
    try:
        y = F.max_unpool2d(x, indices, 2)
        y.sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(y, T.max_unpool2d(x, indices, 2))


@pytest.mark.parametrize("index", [-1, 64])
@pytest.mark.parametrize("grad", [False, True])
def test_indices_out_of_range(index, grad):
    x = torch.randn(2, 3, 4, 4, requires_grad=grad)
    indices = torch.zeros(x.shape, dtype=torch.int64)
    indices[1, 2, 3, 3] = index
    with pytest.raises(RuntimeError, match=f"Expected `indices` from 0 to 63 for planes of size .*but got {index}"):
        F.max_unpool2d(x, indices, 2)


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "words"),
    [
        ((2,), {"output_size": 8}, TypeError, "`output_size`"),
        ((2,), {"output_size": (8.0, 8.0)}, TypeError, "`output_size`"),
        ((2,), {"output_size": (8,)}, ValueError, "2 or 4 elements"),
        ((2,), {"output_size": (10, 8)}, ValueError, "from 7 to 9 along spatial axis 0 .* got 10"),
        ((-1,), {}, ValueError, "not negative"),
        ((2, 2, 5), {}, ValueError, "not negative"),
        ((2.5,), {}, TypeError, "`kernel_size`"),
    ],
    ids=str,
)
def test_bad_sizes(args, kwargs, error, words):
    x = torch.randn(2, 3, 4, 4)
    indices = torch.arange(16).reshape(1, 1, 4, 4).expand(2, 3, 4, 4)
    with pytest.raises(error if AS_TESTED else (error, RuntimeError)):  # 2.6: "integer multiplication overflow"
        T.max_unpool2d(x, indices, *args, **kwargs)
    with pytest.raises(error, match=words):
        F.max_unpool2d(x, indices, *args, **kwargs)


class Unpooling(torch.nn.Module):
    def forward(self, x):
        pooled, indices = F.max_pool2d(x, 2, return_indices=True)
        return F.max_unpool2d(pooled, indices, 2, output_size=x.shape[2:])


def test_exported_graphs_show_one_operator_for_any_size():
    open_ = torch.export.Dim.DYNAMIC
    program = torch.export.export(
        Unpooling(), (torch.randn(2, 3, 8, 10),), dynamic_shapes=({0: open_, 2: open_, 3: open_},)
    )
    ours = [str(node.target) for node in program.graph.nodes if str(node.target).startswith("lightconv.")]
    assert ours == ["lightconv.max_pool_with_indices.default", "lightconv.max_unpool.default"]
    x = torch.randn(5, 3, 6, 12)
    torch.testing.assert_close(program.module()(x), Unpooling()(x))
