"""A module tree copied so that its parameters and buffers stay the same objects.

`copy.deepcopy` would copy parameters, and with them whatever a module or a hook happens to refer to. Here the
modules are new, the plain containers in their attributes, and tensors that are neither parameters nor buffers (the
state of a metric, say); references from one module of the tree to another, also those of bound methods and hook
handles, lead to the new ones. Anything else stays the same object.
"""

import copy
import functools
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import torch.fx
from torch import Tensor, nn
from torch.nn.modules.module import _WrappedHook
from torch.utils.hooks import RemovableHandle

_OF_A_GRAPH = ("_graph", "_code", "_lineno_map", "_prologue_start")


def members(root: nn.Module, closed: Callable[[nn.Module], bool]) -> dict[str, nn.Module]:
    """Each module of the tree once, by its first name; nothing within those that are closed."""
    found: dict[str, nn.Module] = {}
    seen: set[int] = set()

    def visit(module: nn.Module, name: str) -> None:
        if id(module) in seen:
            return
        seen.add(id(module))
        found[name] = module
        if not closed(module):
            for key, child in module._modules.items():
                if child is not None:
                    visit(child, f"{name}.{key}" if name else key)

    visit(root, "")
    return found


def contents(cell: types.CellType) -> Any:
    """What a closure's name is bound to, None if nothing yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _of_graph(module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    return torch.fx.GraphModule(module, copy.deepcopy(module.graph), type(module).__name__)


def _storage(value: Tensor | None) -> Any:
    """What tensors that share memory have in common."""
    try:
        return None if value is None else value.untyped_storage()._cdata
    except (RuntimeError, NotImplementedError, ValueError):  # not initialised, or of a kind without storage
        return id(value)


def _cells(value: types.FunctionType) -> tuple[types.CellType, ...]:
    return value.__closure__ or ()


def rebuild(root: nn.Module, change: Callable[[nn.Module], Any], closed: Callable[[nn.Module], bool]) -> nn.Module:
    """Copy the tree, module by module.

    Args:
        root: the tree; not changed.
        change: for each module, the class of its copy, or another module to put in its place.
        closed: modules that are taken over as they are, with everything in them.
    """
    new: dict[int, Any] = {}
    copied: list[tuple[nn.Module, nn.Module]] = []
    for module in members(root, closed).values():
        result: Any = module if closed(module) else change(module)
        if isinstance(result, type):
            result = _of_graph(module) if isinstance(module, torch.fx.GraphModule) else object.__new__(result)
            copied.append((module, result))
        new[id(module)] = result
    kept = {
        _storage(value) for module, _ in copied for value in (*module._parameters.values(), *module._buffers.values())
    }
    # hook handles refer to the dictionaries that they remove from
    dictionaries = {id(value) for module, _ in copied for value in vars(module).values() if isinstance(value, dict)}

    def moved(value: Any) -> Any:
        if id(value) in new:
            return new[id(value)]
        kind = type(value)
        if kind in (dict, OrderedDict):
            result: Any = kind()
            new[id(value)] = result
            for key, item in value.items():
                result[key] = moved(item)
            return result
        if kind in (list, deque):
            result = [] if kind is list else deque(maxlen=value.maxlen)
            new[id(value)] = result
            result.extend(moved(item) for item in value)
            return result
        if kind in (set, frozenset):
            return kind(moved(item) for item in value)
        if kind is tuple:
            return tuple(moved(item) for item in value)
        if kind is types.MethodType:
            return types.MethodType(value.__func__, moved(value.__self__)) if id(value.__self__) in new else value
        if kind is functools.partial:
            arguments = (moved(item) for item in value.args)
            return functools.partial(moved(value.func), *arguments, **{k: moved(v) for k, v in value.keywords.items()})
        if kind is _WrappedHook:
            owner = value.module() if value.with_module else None
            return _WrappedHook(moved(value.hook), None if owner is None else moved(owner))
        if kind is RemovableHandle:
            return _handle(value)
        if kind is Tensor and not value.requires_grad and _storage(value) not in kept:
            return new.setdefault(id(value), value.clone())
        return value

    def function(value: types.FunctionType) -> types.FunctionType:
        """One made in a module's constructor, with `self` in its closure, such as a lambda or a wrapped method."""
        cells = tuple(types.CellType(moved(cell.cell_contents)) if _leads(cell) else cell for cell in _cells(value))
        if cells == _cells(value):
            return value
        result = types.FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, cells)
        result.__kwdefaults__, result.__qualname__ = value.__kwdefaults__, value.__qualname__
        result.__doc__, result.__module__ = value.__doc__, value.__module__
        vars(result).update((k, moved(v) if isinstance(v, types.MethodType) else v) for k, v in vars(value).items())
        return result

    def _leads(cell: types.CellType) -> bool:
        content = contents(cell)
        return id(getattr(content, "__self__", content)) in new

    def _handle(value: RemovableHandle) -> RemovableHandle:
        hooks = value.hooks_dict_ref()
        if id(hooks) not in dictionaries:
            return value
        result = RemovableHandle.__new__(RemovableHandle)
        result.id = value.id
        result.hooks_dict_ref = weakref.ref(moved(hooks))
        result.extra_dict_ref = tuple(weakref.ref(moved(extra)) for ref in value.extra_dict_ref if (extra := ref()))
        return result

    for old, result in copied:
        for name, value in vars(old).items():
            if not (isinstance(old, torch.fx.GraphModule) and name in _OF_A_GRAPH):
                vars(result)[name] = function(value) if type(value) is types.FunctionType else moved(value)
    return new[id(root)]
