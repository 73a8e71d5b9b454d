"""What a model's forward pass costs: arithmetic, parameters, bytes moved, time."""

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

__all__ = ["Cost", "count"]


@dataclass(frozen=True)
class Cost:
    """Cost of one forward pass.

    - `operations`: multiply-additions of convolutions and matrix products; for anything else one for each element of
      its result, and of its windows for pooling;
    - `parameters`: elements of all parameters and buffers;
    - `moved`: bytes that the operations read and write, if nothing stays in a cache between them.
    """

    operations: int = 0
    parameters: int = 0
    moved: int = 0


def _window(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    kernel = kwargs.get("kernel_size", args[1] if len(args) > 1 else 1)
    axes = int(name.split("pool")[1][0])
    return math.prod(kernel) if isinstance(kernel, (tuple, list)) else kernel**axes


def _operations(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> int:
    if name.startswith("conv_max_pool_relu"):
        pool = kwargs.get("pool_size", 2)
        windows = pool[0] * pool[1] if isinstance(pool, (tuple, list)) else pool * pool
        return result.numel() * (windows * args[1][0].numel() + windows + 1)
    if name.startswith("conv_transpose"):
        return args[0].numel() * args[1][0].numel()
    if name.startswith("conv"):
        return result.numel() * args[1][0].numel()
    if name in ("linear", "matmul", "bmm", "mm", "addmm", "__matmul__"):
        return result.numel() * args[0].shape[-1]
    if name.startswith(("max_pool", "avg_pool")):
        return result.numel() * _window(name, args, kwargs)
    if name.startswith("adaptive"):
        return int(args[0].numel())
    return result.numel()


class _Counting(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations = self.moved = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        results = [value for value in pytree.tree_leaves(result) if isinstance(value, Tensor)]
        inputs = [value for value in pytree.tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        storages = {value.untyped_storage()._cdata for value in inputs}
        in_place = kwargs.get("inplace") or (name.endswith("_") and not name.endswith("__"))
        if not results or (not in_place and results[0].untyped_storage()._cdata in storages):
            return result  # a view, or nothing to compute
        self.operations += _operations(name, args, kwargs, results[0])
        self.moved += sum(value.numel() * value.element_size() for value in [*inputs, *results])
        return result


def count(model: nn.Module, *inputs: Any) -> Cost:
    """Count a forward pass of the model as its PyTorch calls go by; modes and gradients as they are.

    >>> import lightconv.nn as nn
    >>> count(nn.Conv1d(2, 4, 3, bias=False), torch.zeros(1, 2, 10))
    Cost(operations=192, parameters=24, moved=304)
    """
    counting = _Counting()
    with torch.no_grad(), counting:
        model(*inputs)
    return Cost(counting.operations, parameters(model), counting.moved)


def parameters(model: nn.Module) -> int:
    """Elements of all parameters and buffers, shared ones once."""
    return sum(value.numel() for value in {id(v): v for v in [*model.parameters(), *model.buffers()]}.values())


def milliseconds(models: list[nn.Module], inputs: tuple[Any, ...], rounds: int = 15) -> list[float]:
    """Median time of a forward pass without gradients for each model, taken in turn."""
    times: list[list[float]] = [[] for _ in models]
    with torch.no_grad():
        for turn in range(rounds + 1):
            for model, taken in zip(models, times, strict=True):
                start = time.perf_counter()
                model(*inputs)
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                if turn:  # the first is a warm-up
                    taken.append(1e3 * (time.perf_counter() - start))
    return [sorted(taken)[len(taken) // 2] for taken in times]
