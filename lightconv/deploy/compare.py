"""An ONNX file against the module that it came from."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from lightconv.deploy.files import ExportError

__all__ = ["VerificationError", "compare", "vary"]


class VerificationError(RuntimeError):
    """onnxruntime does not compute what the module computes."""


def vary(args: Any, sizes: Mapping[int, Mapping[int, int]], seed: int = 0) -> Any:
    """Arguments like `args` with other sizes, the same each time.

    Floating tensors are drawn from a normal distribution with the mean and deviation of the given ones.
    Other tensors (class numbers, indices, pixels) repeat the given elements, whose values are known to be valid.

    Args:
        args: the module's arguments.
        sizes: for the n-th tensor among them, new sizes by axis.
        seed: of the random numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    leaves, structure = pytree.tree_flatten(args)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    for tensor, i in enumerate(places):
        leaf = leaves[i]
        shape = [sizes.get(tensor, {}).get(axis, size) for axis, size in enumerate(leaf.shape)]
        if leaf.is_floating_point():
            spread = leaf.double().std().item() if leaf.numel() > 1 else 0.0
            noise = torch.randn(shape, generator=generator, dtype=torch.float64)
            leaves[i] = (leaf.double().mean().item() + (spread or 1.0) * noise).to(leaf)
        else:
            for axis, size in enumerate(shape):
                leaf = leaf.index_select(axis, torch.arange(size, device=leaf.device) % leaf.shape[axis])
            leaves[i] = leaf
    return pytree.tree_unflatten(leaves, structure)


def compare(
    path: Path,
    module: Callable[..., Any],
    cases: Iterable[Any],
    tolerance: Callable[[np.ndarray], float],
) -> float:
    """Run the file and the module on every case (a tuple of arguments); return the largest difference.

    Args:
        path: ONNX file.
        module: what it should compute.
        cases: tuples of arguments.
        tolerance: the difference allowed for an expected floating output. Others must be equal.

    Raises:
        ExportError: if onnxruntime cannot run the file.
        VerificationError: if an output differs by more.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportError(f"Expected a graph that onnxruntime can run, but: {_one_line(error)}") from error
    largest = 0.0
    for args in cases:
        tensors = [leaf for leaf in pytree.tree_leaves(args) if isinstance(leaf, Tensor)]
        names = [value.name for value in session.get_inputs()]
        feed = {name: tensor.numpy(force=True) for name, tensor in zip(names, tensors, strict=True)}
        try:
            results = session.run(None, feed)
        except Exception as error:
            raise VerificationError(
                f"onnxruntime cannot run the exported graph on {_shapes(tensors)}: {_one_line(error)}"
            ) from error
        with torch.no_grad():
            outputs = [leaf for leaf in pytree.tree_leaves(module(*args)) if isinstance(leaf, Tensor)]
        if len(outputs) != len(results):
            raise VerificationError(f"The module has {len(outputs)} outputs, the exported graph {len(results)}.")
        for value, result, output in zip(session.get_outputs(), results, outputs, strict=True):
            expected = output.numpy(force=True)
            difference = _difference(expected, result)
            allowed = tolerance(expected) if np.issubdtype(expected.dtype, np.floating) else 0.0
            if not difference <= allowed:
                raise VerificationError(
                    f"Expected onnxruntime to agree with the module within {allowed:.2g}, but output "
                    f"`{value.name}` differs by {difference:.2g} for input of shape {_shapes(tensors)}."
                )
            largest = max(largest, difference)
    return largest


def _difference(expected: np.ndarray, result: np.ndarray) -> float:
    if expected.shape != result.shape or expected.dtype != result.dtype:
        return float("inf")
    if not np.issubdtype(expected.dtype, np.floating):
        return float(np.count_nonzero(expected != result))
    same = (expected == result) | (np.isnan(expected) & np.isnan(result))
    with np.errstate(invalid="ignore"):
        return float(np.where(same, 0.0, np.abs(expected.astype(np.float64) - result)).max(initial=0.0))


def _shapes(tensors: Sequence[Tensor]) -> str:
    return ", ".join(str(tuple(tensor.shape)) for tensor in tensors)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
