"""Calls of torch.nn.functional in a model's own code: what exchanging modules cannot reach.

Read off the compiled code of `forward` and of what it calls, without running anything.
"""

import dis
import functools
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

import lightconv.functional
from lightconv.surgery.tree import contents


@functools.cache
def replaceable() -> dict[int, str]:
    """The functions of torch that lightconv.functional has too: id and the name by which they are called."""
    found: dict[int, str] = {}
    for name in lightconv.functional.__all__:
        for place, prefix in ((nn.functional, "torch.nn.functional"), (torch, "torch")):
            function = getattr(place, name, None)
            if function is not None and function is not getattr(lightconv.functional, name):
                found.setdefault(id(function), f"{prefix}.{name}")
    return found


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _mentioned(function: types.FunctionType) -> Iterator[Any]:
    """What the function's code names: the objects behind global names and modules' attributes, else the names."""
    closure = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
    names = {**function.__globals__, **{name: contents(cell) for name, cell in closure}}
    for code in _codes(function.__code__):
        current: Any = None
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF"):
                current = names.get(step.argval)
                yield current
            elif step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
                known = isinstance(current, types.ModuleType)
                current = getattr(current, step.argval, None) if known else None
                yield current if known else step.argval
            elif step.opname == "LOAD_SUPER_ATTR":  # from Python 3.12 on
                current = None
                yield step.argval
            elif not step.opname.startswith(("CACHE", "EXTENDED_ARG")):
                current = None


def functions_of(module: nn.Module) -> list[types.FunctionType]:
    """`forward` and the functions and methods that it calls, less those of PyTorch and of this package."""
    cls, found = type(module), []
    waiting: list[Any] = [vars(module).get("forward", cls.forward)]
    while waiting:
        function = waiting.pop()
        function = inspect.unwrap(getattr(function, "__func__", function))
        if not isinstance(function, types.FunctionType) or function in found or _foreign(function):
            continue
        found.append(function)
        for item in _mentioned(function):
            waiting += _methods(cls, item) if isinstance(item, str) else [item]
    return found


def goes_on(method: Any, names: set[str]) -> bool:
    """Whether the method's code names one of these methods, as `super().forward(x)` does."""
    function = inspect.unwrap(method) if callable(method) else None
    return isinstance(function, types.FunctionType) and any(
        isinstance(item, str) and item in names for item in _mentioned(function)
    )


def _methods(cls: type, name: str) -> list[Any]:
    """What a method or property of this name may be, `super()` included."""
    found = [vars(c)[name] for c in cls.__mro__ if name in vars(c)]
    return [item.fget if isinstance(item, property) else item for item in found]


def _foreign(function: Callable[..., Any]) -> bool:
    return (function.__module__ or "").split(".")[0] in ("torch", "lightconv")


def calls_of(module: nn.Module) -> list[str]:
    """Names of the replaceable functions that the module's own code calls, in alphabetical order."""
    table, found = replaceable(), set()
    for function in functions_of(module):
        for item in _mentioned(function):
            if callable(item) and id(item) in table:
                found.add(table[id(item)])
    return sorted(found)
