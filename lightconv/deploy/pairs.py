"""Unpooling that undoes a pooling in the same graph.

ONNX counts the indices of maxima over the whole tensor, torch over each plane. If indices go straight from a
pooling to an unpooling that restores the size, ONNX's own can be handed on, whatever the batch. Whether it does
restore the size is known while sizes are still symbols, before the graph becomes ONNX.
"""

import operator

import torch
from torch import Tensor
from torch.fx import Node
from torch.fx.experimental.symbolic_shapes import statically_known_true

from lightconv.functional.unpooling import max_unpool

__all__ = ["pair_unpooling"]


@torch.library.custom_op("lightconv::max_unpool_like", mutates_args=())
def max_unpool_like(input: Tensor, indices: Tensor, pooled: Tensor) -> Tensor:
    """`max_unpool` to the size of the tensor that was pooled; occurs in exported graphs only."""
    return max_unpool(input, indices, tuple(pooled.shape[2:]))


@max_unpool_like.register_fake
def _(input: Tensor, indices: Tensor, pooled: Tensor) -> Tensor:
    return torch.empty_like(pooled)


def pair_unpooling(graph: torch.fx.Graph) -> None:
    """Let every `max_unpool` that undoes a `max_pool_with_indices` name the tensor that was pooled."""
    operators = torch.ops.lightconv
    for node in graph.nodes:
        if node.target is not operators.max_unpool.default:
            continue
        indices = node.args[1]
        pooling = indices.args[0] if indices.target is operator.getitem else None
        if not isinstance(pooling, Node) or pooling.target is not operators.max_pool_with_indices.default:
            continue
        pooled = pooling.args[0]
        assert isinstance(pooled, Node)
        sizes = zip(node.meta["val"].shape, pooled.meta["val"].shape, strict=True)
        if all(statically_known_true(a == b) for a, b in sizes):
            node.target = operators.max_unpool_like.default
            node.args = (node.args[0], indices, pooled)
