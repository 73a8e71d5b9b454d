"""Which class of torch.nn belongs to which of ours, and the classes in between that other people derived.

The pairs are read off `lightconv.nn`: a class there that subclasses the torch.nn class of its own name.
"""

import functools
from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize

import lightconv.nn
from lightconv.surgery.calls import calls_of, goes_on

OWN_FORWARD = "computes in a way of its own"


def pairs() -> dict[type, type]:
    """Each torch.nn class that we reimplement, with ours."""
    found = {}
    for name in lightconv.nn.__all__:
        ours, theirs = getattr(lightconv.nn, name), getattr(nn, name, None)
        if isinstance(theirs, type) and ours is not theirs and issubclass(ours, theirs):
            found[theirs] = ours
    return found


def _arithmetic(theirs: type, ours: type) -> set[str]:
    """Names of the methods by which the two compute: those that ours replaces, and `forward`."""
    replaced = {name for cls in ours.__mro__ if cls not in theirs.__mro__ for name in vars(cls)}
    return {"forward", "__call__"} | {name for name in replaced if not name.startswith("__")}


def _derived(cls: type, base: type) -> list[type]:
    """The classes between `cls` (included) and `base` (not included)."""
    return [c for c in cls.__mro__ if c not in base.__mro__]


def _revive(base: type, ours: type) -> Any:
    cls: Any = _joined(base, ours)
    return cls.__new__(cls)


def _reduce(self: Any, protocol: Any) -> tuple[Any, ...]:
    return _revive, type(self)._joins, self.__getstate__()


@functools.cache
def _joined(base: type, ours: type) -> type:
    """The subclass `base` of a torch.nn class, with the arithmetic of `ours`: still an instance of both."""
    namespace = {
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
        "__reduce_ex__": _reduce,
        "_joins": (base, ours),
    }
    return type(base.__name__, (base, ours), namespace)


def _parametrized(cls: type, base: type) -> type:
    """The class that torch generated for one parametrised module, on another base."""
    namespace = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    return type(cls.__name__, (base,), namespace)


def plain_class(module: nn.Module) -> type:
    """The module's class, less what parametrisations made of it."""
    return parametrize.type_before_parametrizations(module)


def overridden(module: nn.Module, names: set[str]) -> bool:
    """Whether one of these methods was replaced on the module itself."""
    return any(name in vars(module) for name in names)


def computes_as(module: nn.Module, *theirs: type) -> type | None:
    """Which of these torch.nn classes the module is, computing as torch.nn's or our class does; None if neither."""
    cls = plain_class(module)
    base = next((c for c in cls.__mro__ if c in theirs), None)
    if base is None:
        return None
    ours = pairs().get(base, base)
    names = _arithmetic(base, ours)
    known = {*base.__mro__, *ours.__mro__}
    own = any(name in vars(c) for c in cls.__mro__ if c not in known for name in names)
    return None if own or overridden(module, names) else base


def _goes_on(module: nn.Module, derived: list[type], theirs: type, names: set[str]) -> bool:
    """Whether what the derived classes compute, they compute by the torch.nn class that they come from."""
    known = {name for name in names if hasattr(theirs, name)} - {"__call__"}
    own = [(name, vars(c)[name]) for c in derived for name in names if name in vars(c)]
    return all(name in known and goes_on(method, known) for name, method in own) and not (own and calls_of(module))


def to_ours(module: nn.Module) -> tuple[type | None, str]:
    """The class of ours that takes the place of the module's, or None; and why not, where it looks like a layer."""
    cls, table = plain_class(module), pairs()
    if cls in table.values() or hasattr(cls, "_joins"):
        return None, ""
    theirs = next((c for c in cls.__mro__ if c in table), None)
    if theirs is None or any(c in cls.__mro__ for c in table.values()):
        return None, ""
    ours = table[theirs]
    names = _arithmetic(theirs, ours)
    derived = _derived(cls, theirs)
    if overridden(module, names) or not _goes_on(module, derived, theirs, names):
        return None, OWN_FORWARD
    if not derived:
        return ours, ""
    if issubclass(theirs, LazyModuleMixin):
        return None, "is a lazy layer that becomes a class of its own"
    return _joined(cls, ours), ""


def to_torch(module: nn.Module) -> tuple[type | None, str]:
    """The class of torch.nn that takes the place of the module's, or None; and why not, where it is of ours."""
    cls = plain_class(module)
    back = {ours: theirs for theirs, ours in pairs().items()}
    theirs = cls._joins[0] if hasattr(cls, "_joins") else back.get(cls)
    if theirs is not None:
        ours = cls._joins[1] if hasattr(cls, "_joins") else cls
        if overridden(module, _arithmetic(back[ours], ours)):
            return None, OWN_FORWARD
        return theirs, ""
    if cls.__module__.split(".")[:2] == ["lightconv", "nn"]:
        return None, "has no counterpart in torch.nn"
    if any(c in back for c in cls.__mro__):
        return None, "is a class derived from a layer of lightconv.nn"
    return None, ""


def placed(module: nn.Module, base: type) -> type:
    """The class to give a copy of the module whose plain class shall be `base`."""
    return _parametrized(type(module), base) if parametrize.is_parametrized(module) else base


def own_class(module: nn.Module) -> type:
    """The class to give a plain copy of the module."""
    return placed(module, plain_class(module))


def opaque(module: nn.Module) -> str:
    """Why nothing can be changed within the module, or an empty sentence."""
    if isinstance(module, (torch.jit.ScriptModule, torch.jit.ScriptFunction)):
        return "is scripted: convert before torch.jit.script"
    if type(module).__module__ == "torch._dynamo.eval_frame":
        return "is compiled: convert before torch.compile"
    return ""
