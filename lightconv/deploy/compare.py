"""An ONNX file against the module that it came from."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
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
    module: nn.Module,
    cases: Iterable[tuple[Any, ...]],
    tolerance: Callable[[np.ndarray], float],
) -> float:
    """Run the file and the module on every case (a tuple of arguments); return the largest difference.

    Where a module is not continuous (which of two all but equal elements is the maximum?) rounding may decide.
    Elements that the module itself computes otherwise if its parameters and input are rounded otherwise do not
    count, as long as they are few (1 %).

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
    names = [value.name for value in session.get_outputs()]
    largest = 0.0
    for args in cases:
        results = _run(session, args)
        outputs = _outputs(module, args)
        if len(outputs) != len(results):
            raise VerificationError(f"The module has {len(outputs)} outputs, the exported graph {len(results)}.")
        unstable: list[np.ndarray] | None = None
        for i, (result, expected) in enumerate(zip(results, outputs, strict=True)):
            allowed = tolerance(expected) if _is_floating(expected) else 0.0
            difference = _difference(expected, result)
            wrong = difference > allowed
            if wrong.any():
                if unstable is None and expected.shape == result.shape:
                    unstable = _unstable(module, args, outputs, tolerance)
                excused = wrong & unstable[i] if unstable is not None else np.zeros_like(wrong)
                if np.mean(excused) > _FEW:
                    excused = np.zeros_like(wrong)
                if (wrong & ~excused).any():
                    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in _tensors(args))
                    raise VerificationError(
                        f"Expected onnxruntime to agree with the module within {allowed:.2g}, but output `{names[i]}` "
                        f"differs by {difference[~excused].max():.2g} for input of shape {shapes}."
                    )
                difference = np.where(excused, 0, difference)
            largest = max(largest, float(difference.max(initial=0.0)))
    return largest


_FEW = 0.01
_TRIALS = 8
_NOISE = 1e-5  # relative; some ten times what rounding changes


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def _run(session: Any, args: tuple[Any, ...]) -> list[np.ndarray]:
    tensors = _tensors(args)
    feed = {value.name: tensor.numpy(force=True) for value, tensor in zip(session.get_inputs(), tensors, strict=True)}
    try:
        return list(session.run(None, feed))
    except Exception as error:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise VerificationError(f"onnxruntime cannot run the graph on {shapes}: {_one_line(error)}") from error


def _outputs(module: Callable[..., Any], args: tuple[Any, ...]) -> list[np.ndarray]:
    with torch.no_grad():
        return [tensor.numpy(force=True) for tensor in _tensors(module(*args))]


def _is_floating(array: np.ndarray) -> bool:
    return bool(np.issubdtype(array.dtype, np.floating))


def _difference(expected: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Absolute differences; infinite where one is not a number, or for arrays of another kind."""
    if expected.shape != result.shape or expected.dtype != result.dtype:
        return np.array(np.inf)
    if not _is_floating(expected):
        return (expected != result).astype(np.float64)
    same = (expected == result) | (np.isnan(expected) & np.isnan(result))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(expected.astype(np.float64) - result))
    return np.where(np.isnan(difference), np.inf, difference)


def _unstable(
    module: nn.Module, args: tuple[Any, ...], outputs: Sequence[np.ndarray], tolerance: Callable[[np.ndarray], float]
) -> list[np.ndarray]:
    """Where outputs change by more than is allowed if parameters and input change as little as by rounding."""
    generator = torch.Generator().manual_seed(0)

    def disturbed(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not leaf.is_floating_point():
            return leaf
        noise = torch.randn(leaf.shape, generator=generator, dtype=torch.float32)
        return leaf.detach() * (1 + _NOISE * noise).to(leaf)

    found = [np.zeros(output.shape, bool) for output in outputs]
    for _ in range(_TRIALS):
        weights = {name: disturbed(weight) for name, weight in module.named_parameters()}
        trial = pytree.tree_map(disturbed, args)
        others = _outputs(lambda *a, weights=weights: functional_call(module, weights, a), trial)
        for mask, output, other in zip(found, outputs, others, strict=True):
            mask |= _difference(output, other) > (tolerance(output) if _is_floating(output) else 0.0)
    return found


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
