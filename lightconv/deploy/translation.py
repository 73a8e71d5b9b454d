"""Our operators in ONNX: one small function for each, named like the operator.

A function gets the ONNX operator set and the arguments that the operator has in the graph, as its schema
orders them: tensors as graph values, numbers as they are. What it calls on the operator set becomes nodes.
The functions are in `convolving`, `pooling` and `resizing`.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from lightconv.deploy.files import ExportError

__all__ = ["ONNX", "channels", "constant", "multiply", "spatial", "table", "translates", "vector"]

ONNX: dict[str, Callable[..., Any]] = {}


def translates(function: Callable[..., Any]) -> Callable[..., Any]:
    """Enter the function under its name."""
    ONNX[function.__name__] = function
    return function


@functools.cache  # torch keeps what it is given for ever, once for each function that it has not seen before
def table(opset: int) -> dict[Callable[..., Any], Callable[..., Any]]:
    """The `custom_translation_table` of torch.onnx.export for an ONNX operator set version."""
    from onnxscript.values import Opset

    import lightconv.functional  # noqa: F401  (it registers the operators)
    from lightconv.deploy import convolving, pairs, pooling, resizing  # noqa: F401  (they enter their functions)

    operators = Opset("", opset)
    return {getattr(torch.ops.lightconv, name).default: _bind(function, operators) for name, function in ONNX.items()}


def _bind(function: Callable[..., Any], operators: Any) -> Callable[..., Any]:
    bound = functools.partial(function, operators)
    functools.update_wrapper(bound, function)
    vars(bound).pop("__wrapped__")  # else the exporter would count `op` among the arguments
    return bound


# --- helpers --------------------------------------------------------------------------------------------------


def spatial(value: Any) -> tuple[int, ...] | None:
    """The spatial sizes of a graph value, or None if one of them is open."""
    sizes = tuple(value.shape)[2:]
    return tuple(map(int, sizes)) if all(isinstance(size, int) for size in sizes) else None


def channels(value: Any, name: str) -> int:
    """The number of channels, which has to be known."""
    count = value.shape[1]
    if not isinstance(count, int):
        raise ExportError(f"Expected a fixed number of channels for {name}, but that axis is open.")
    return count


def constant(op: Any, array: np.ndarray, like: Any = None) -> Any:
    """A constant, of the element type of `like` if given."""
    from onnxscript import ir

    return op.Constant(value=ir.tensor(array if like is None else array.astype(like.dtype.numpy())))


def vector(op: Any, sizes: Sequence[Any]) -> Any:
    """Sizes, numbers or graph values, as one graph value."""
    if all(isinstance(n, int) for n in sizes):
        return constant(op, np.asarray(sizes, np.int64))
    parts = [constant(op, np.asarray([n])) if isinstance(n, int) else op.Reshape(n, [-1]) for n in sizes]
    return parts[0] if len(parts) == 1 else op.Concat(*parts, axis=0)


def multiply(op: Any, x: Any, matrices: Sequence[np.ndarray | None]) -> Any:
    """A matrix (outputs, inputs) along each spatial axis; None for an axis that stays as it is."""
    like, sizes = x, list(spatial(x) or ())
    for axis, matrix in enumerate(matrices):
        if matrix is None:
            continue
        sizes[axis] = len(matrix)
        if axis == len(matrices) - 1:
            x = op.MatMul(x, constant(op, matrix.T.copy(), like))
        elif axis == len(matrices) - 2:
            x = op.MatMul(constant(op, matrix, like), x)
        else:
            flat = op.Reshape(x, [0, 0, matrix.shape[1], math.prod(sizes[axis + 1 :])])
            x = op.Reshape(op.MatMul(constant(op, matrix, like), flat), [0, 0, *sizes])
    return x
