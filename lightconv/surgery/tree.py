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
from collections.abc import Callable, Sequence
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
    move = _Move(new, [module for module, _ in copied])
    for old, result in copied:
        for name, value in vars(old).items():
            if not (isinstance(old, torch.fx.GraphModule) and name in _OF_A_GRAPH):
                vars(result)[name] = move.function(value) if type(value) is types.FunctionType else move(value)
    return new[id(root)]


class _Move:
    """What stands in an attribute of an old module, for the new one: containers anew, references led to the new tree.

    Args:
        new: the new object for each old one, by its id; grows with what is copied, so that nothing is copied twice.
        old: the modules that are copied.
    """

    def __init__(self, new: dict[int, Any], old: Sequence[nn.Module]) -> None:
        self.new = new
        shared = (value for module in old for value in (*module._parameters.values(), *module._buffers.values()))
        self.kept = {_storage(value) for value in shared}
        # hook handles refer to the dictionaries that they remove from
        self.dictionaries = {id(value) for module in old for value in vars(module).values() if isinstance(value, dict)}
        self.kinds: dict[type, Callable[[Any], Any]] = {
            dict: self.mapping,
            OrderedDict: self.mapping,
            list: self.sequence,
            deque: self.sequence,
            set: self.at_once,
            frozenset: self.at_once,
            tuple: self.at_once,
            types.MethodType: self.method,
            functools.partial: self.partial,
            _WrappedHook: self.hook,
            RemovableHandle: self.handle,
            Tensor: self.tensor,
        }

    def __call__(self, value: Any) -> Any:
        if id(value) in self.new:
            return self.new[id(value)]
        kind = self.kinds.get(type(value))
        return value if kind is None else kind(value)

    def mapping(self, value: dict[Any, Any]) -> dict[Any, Any]:
        self.new[id(value)] = result = type(value)()  # before its items, which may refer to it
        for key, item in value.items():
            result[key] = self(item)
        return result

    def sequence(self, value: Any) -> Any:
        result: Any = deque(maxlen=value.maxlen) if isinstance(value, deque) else []
        self.new[id(value)] = result
        result.extend(self(item) for item in value)
        return result

    def at_once(self, value: Any) -> Any:
        return type(value)(self(item) for item in value)

    def method(self, value: types.MethodType) -> types.MethodType:
        owner = value.__self__
        return types.MethodType(value.__func__, self(owner)) if id(owner) in self.new else value

    def partial(self, value: functools.partial[Any]) -> functools.partial[Any]:
        named = {name: self(item) for name, item in value.keywords.items()}
        return functools.partial(self(value.func), *(self(item) for item in value.args), **named)

    def hook(self, value: Any) -> _WrappedHook:
        owner = value.module() if value.with_module else None
        return _WrappedHook(self(value.hook), None if owner is None else self(owner))

    def handle(self, value: RemovableHandle) -> RemovableHandle:
        hooks = value.hooks_dict_ref()
        if id(hooks) not in self.dictionaries:
            return value
        result = RemovableHandle.__new__(RemovableHandle)
        result.id = value.id
        result.hooks_dict_ref = weakref.ref(self(hooks))
        result.extra_dict_ref = tuple(weakref.ref(self(extra)) for ref in value.extra_dict_ref if (extra := ref()))
        return result

    def tensor(self, value: Tensor) -> Tensor:
        shared = value.requires_grad or _storage(value) in self.kept
        return value if shared else self.new.setdefault(id(value), value.clone())

    def function(self, value: types.FunctionType) -> types.FunctionType:
        """One made in a module's constructor, with `self` in its closure, such as a lambda or a wrapped method."""
        old = value.__closure__ or ()
        cells = tuple(types.CellType(self(cell.cell_contents)) if self.leads(cell) else cell for cell in old)
        if cells == old:
            return value
        result = types.FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, cells)
        result.__kwdefaults__, result.__qualname__ = value.__kwdefaults__, value.__qualname__
        result.__doc__, result.__module__ = value.__doc__, value.__module__
        vars(result).update((k, self(v) if isinstance(v, types.MethodType) else v) for k, v in vars(value).items())
        return result

    def leads(self, cell: types.CellType) -> bool:
        """Whether a closure's cell holds a module of the tree, or a method of one."""
        content = contents(cell)
        return id(getattr(content, "__self__", content)) in self.new
