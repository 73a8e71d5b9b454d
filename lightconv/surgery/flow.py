"""How data flow through a model: which layer reads what another one wrote, and nobody else reads.

A module's `forward` is traced by torch.fx. Where it cannot be (its path depends on values), its children are looked
at one by one, provided that its code calls them as a whole and never reaches into them.
"""

import ast
import inspect
import itertools
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch.fx
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lightconv.surgery.linear import conv_like, norm_like
from lightconv.surgery.pairs import opaque

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_REACHING = {"getattr", "children", "modules", "named_children", "named_modules", "get_submodule", "_modules", "apply"}


@dataclass(frozen=True)
class Link:
    """Module `second` reads what `first` gives; `reason` says why the two must stay apart, if they must."""

    first: str
    second: str
    reason: str = ""


@dataclass
class Flow:
    """What is known about a model: its links by the modules' names, and where the flow stays unknown."""

    links: list[Link] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    text: str = ""


def has_hooks(module: nn.Module) -> bool:
    """Whether somebody looks at what goes in or comes out, or at its gradient."""
    return any(getattr(module, name, None) for name in _HOOKS)


def _elementary(module: nn.Module) -> bool:
    """Whether tracing stops at this module: torch.nn's and our own layers, and what computes as they do."""
    if isinstance(module, _CONTAINERS):
        return False
    package = type(module).__module__.split(".")[:2]
    return package in (["torch", "nn"], ["lightconv", "nn"]) or conv_like(module) or norm_like(module)


class _Tracer(torch.fx.Tracer):
    def __init__(self, root: nn.Module) -> None:
        super().__init__()
        self._top = root

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return m is not self._top and (_elementary(m) or has_hooks(m) or bool(opaque(m)) or "forward" in vars(m))

    def proxy(self, node: torch.fx.Node) -> torch.fx.Proxy:
        return _Value(node, self)

    def create_arg(self, a: Any) -> Any:
        return a.node if type(a) is _Value else super().create_arg(a)


class _Value(torch.fx.Proxy):
    """A stand-in that says it is a tensor, so that code which asks takes the path that tensors take."""

    __class__ = property(lambda self: Tensor)  # type: ignore[assignment]


class _Untraceable(Exception):
    """torch.fx could not follow this module's forward."""


def _ways_to_call(module: nn.Module) -> list[dict[str, Any] | None]:
    """Every combination of the optional arguments: left out or given, true or false."""
    choices = []
    for name, parameter in inspect.signature(module.forward).parameters.items():
        if parameter.default is parameter.empty:
            continue
        if isinstance(parameter.default, bool):
            choices.append([{name: True}, {name: False}])
        else:
            choices.append([{}, {name: parameter.default}])
    if len(choices) > 4:
        raise _Untraceable(f"its forward has {len(choices)} optional arguments")
    ways = [{name: value for part in way for name, value in part.items()} for way in itertools.product(*choices)]
    return [way or None for way in ways]


def _graphs(module: nn.Module) -> list[torch.fx.Graph]:
    """The module's graph for every way to call it."""
    found = []
    for way in _ways_to_call(module):
        try:
            found.append(_Tracer(module).trace(module, way))
        except Exception as error:
            # whatever the model's own code raises when it meets a stand-in for a tensor
            lines = str(error).strip().splitlines()
            raise _Untraceable(lines[0] if lines else type(error).__name__) from error
    return found


def _reached_into(module: nn.Module) -> set[str]:
    """Names of children that the module's code may do more with than call them."""
    children = set(module._modules)
    reached = set()
    for cls in type(module).__mro__:
        if cls.__module__.split(".")[0] in ("torch", "builtins", "lightning", "pytorch_lightning"):
            break
        for name, function in vars(cls).items():
            function = inspect.unwrap(getattr(function, "fget", None) or getattr(function, "__func__", function))
            if name == "__init__" or not inspect.isfunction(function):
                continue
            try:
                tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
            except (OSError, SyntaxError):
                return children
            called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
            for node in ast.walk(tree):
                word = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
                if word in _REACHING:
                    return children
                if isinstance(node, ast.Attribute) and word in children and id(node) not in called:
                    reached.add(word)
    return reached


@dataclass
class _Region:
    name: str
    module: nn.Module
    graphs: list[torch.fx.Graph]


def _regions(module: nn.Module, name: str, unknown: dict[str, str]) -> Iterator[_Region]:
    if opaque(module) or (_elementary(module) and name) or not any(True for _ in module.children()):
        return
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        return
    try:
        graphs = _graphs(module)
    except _Untraceable as error:
        unknown[name] = f"({type(module).__name__}) could not be followed: {error}"
        reached = _reached_into(module)
        for key, child in module.named_children():
            if key not in reached:
                yield from _regions(child, _join(name, key), unknown)
        return
    yield _Region(name, module, graphs)
    for key in dict.fromkeys(n.target for graph in graphs for n in graph.nodes if n.op == "call_module"):
        yield from _regions(module.get_submodule(str(key)), _join(name, str(key)), unknown)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix and name else prefix or name


def passes_through(module: nn.Module) -> bool:
    """Whether the module hands on what it gets: identity, or dropout in evaluation mode."""
    if has_hooks(module):
        return False
    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
    return type(module) is nn.Identity or (type(module) in kinds and not module.training)


def flow(model: nn.Module) -> Flow:
    """Every pair of modules of which the second reads what the first gives, `Identity` and the like left out."""
    found = Flow()
    regions = list(_regions(model, "", found.unknown))
    names = Counter(id(m) for _, m in model.named_modules(remove_duplicate=False))
    calls: Counter[int] = Counter()
    for region in regions:
        most: Counter[int] = Counter()
        for graph in region.graphs:
            most |= Counter(id(region.module.get_submodule(str(n.target))) for n in _module_calls(graph))
        calls += most
    found.text = "\n".join(f"{region.name} {graph}" for region in regions for graph in region.graphs)
    for region in regions:
        read = {str(n.target) for graph in region.graphs for n in graph.nodes if n.op == "get_attr"}

        def alone(target: str, region: _Region = region, read: set[str] = read) -> str:
            module = region.module.get_submodule(target)
            if names[id(module)] > 1 or calls[id(module)] > 1:
                return f"{_join(region.name, target)} is used more than once"
            if has_hooks(module):
                return f"{_join(region.name, target)} has hooks"
            if parametrize.is_parametrized(module):
                return f"{_join(region.name, target)} is parametrised"
            if "forward" in vars(module):
                return f"{_join(region.name, target)} has a forward of its own"
            if any(name.startswith(target + ".") for name in read):
                return f"{_join(region.name, target)} has its parameters read from outside"
            return ""

        found.links += _merged([_links(region, graph, alone) for graph in region.graphs], region)
    return found


def _module_calls(graph: torch.fx.Graph) -> Iterator[torch.fx.Node]:
    return (node for node in graph.nodes if node.op == "call_module")


def _links(region: _Region, graph: torch.fx.Graph, alone: Any) -> dict[tuple[str, str], str]:
    links = {}
    for node in _module_calls(graph):
        if passes_through(region.module.get_submodule(str(node.target))):
            continue
        source = node.args[0] if node.args else None
        users: list[int] = []
        while isinstance(source, torch.fx.Node) and source.op == "call_module":
            users.append(len(source.users))
            if not passes_through(region.module.get_submodule(str(source.target))):
                break
            source = source.args[0] if source.args else None
        if not isinstance(source, torch.fx.Node) or source.op != "call_module":
            continue
        reason = alone(str(source.target)) or alone(str(node.target))
        if not reason and max(users) > 1:
            reason = f"{_join(region.name, str(source.target))} is read elsewhere too"
        if not reason and (len(node.args) != 1 or node.kwargs):
            reason = f"{_join(region.name, str(node.target))} is called with more than its input"
        links[str(source.target), str(node.target)] = reason
    return links


def _merged(found: list[dict[tuple[str, str], str]], region: _Region) -> list[Link]:
    """Links that hold however the region is called."""
    links = []
    used = [{str(n.target) for n in _module_calls(graph)} for graph in region.graphs]
    for pair in dict.fromkeys(pair for one in found for pair in one):
        reason = next((one[pair] for one in found if one.get(pair)), "")
        for one, names in zip(found, used, strict=True):
            if pair not in one and names & set(pair) and not reason:
                reason = f"{_join(region.name, pair[1])} does not always read {_join(region.name, pair[0])}"
        links.append(Link(_join(region.name, pair[0]), _join(region.name, pair[1]), reason))
    return links
