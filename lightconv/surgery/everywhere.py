"""Calls of torch.nn.functional answered by ours, wherever they come from."""

import functools
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import lightconv.functional
from lightconv.surgery.calls import replaceable

__all__ = ["everywhere"]


@functools.cache
def _answers() -> dict[Any, Any]:
    """torch's function, and ours in its place."""
    found: dict[Any, Any] = {}
    for name in lightconv.functional.__all__:
        ours = getattr(lightconv.functional, name)
        for place in (nn.functional, torch):
            function = getattr(place, name, None)
            if id(function) in replaceable():
                found[function] = ours
    return found


class _Everywhere(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _answers().get(func, func)(*args, **(kwargs or {}))


def everywhere() -> AbstractContextManager[Any]:
    """Within the block, the functions of torch.nn.functional that we reimplement are ours, in anybody's code.

    What `convert` cannot reach, since it exchanges modules, is reached by this: functions that a model's own code
    calls, and torch.nn's layers too, which call them. It holds for the thread, and costs some microseconds for every
    call of PyTorch within the block; `backend` has its meaning.

    >>> import torch, lightconv
    >>> x = torch.randn(1, 1, 8, 8, requires_grad=True)
    >>> with lightconv.everywhere():
    ...     y = torch.nn.functional.conv2d(x, torch.ones(1, 1, 3, 3))
    >>> "Convolution" in y.grad_fn.name()
    False
    """
    return _Everywhere()
