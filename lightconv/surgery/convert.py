"""torch.nn's layers in a model exchanged for ours, and back."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import nn

from lightconv.surgery.calls import calls_of
from lightconv.surgery.pairs import opaque, placed, plain_class, to_ours, to_torch
from lightconv.surgery.table import table
from lightconv.surgery.tree import members, rebuild

__all__ = ["Conversion", "convert", "revert"]

Model = TypeVar("Model", bound=nn.Module)


@dataclass
class Conversion:
    """What `convert` or `revert` did; printed, it is a table.

    - `replaced`: name of each exchanged module, and its class;
    - `left`: name of each module that looked like a layer to exchange and was not, and the reason;
    - `calls`: name of each module whose own code calls functions that a change of modules cannot reach, and these.

    A module that is used under several names counts once, under the first.
    """

    replaced: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    calls: dict[str, list[str]] = field(default_factory=dict)
    modules: int = 0

    def __str__(self) -> str:
        kinds: dict[str, list[str]] = {}
        for name, kind in self.replaced.items():
            kinds.setdefault(kind, []).append(name or "(the model)")
        rows = [(kind, len(names), _few(names)) for kind, names in sorted(kinds.items())]
        text = [f"{len(self.replaced)} of {self.modules} modules exchanged"]
        if rows:
            text += table(("layer", "number", "names"), rows)
        for title, entries in (
            ("Left as they are:", self.left),
            ("Not reachable by exchanging modules:", {k: "calls " + ", ".join(v) for k, v in self.calls.items()}),
        ):
            if entries:
                text += [title, *(f"  {name or '(the model)'} {reason}" for name, reason in entries.items())]
        return "\n".join(text)


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else ", ".join([*names[:3], "...", names[-1]])


def _exchange(model: Any, target: Callable[..., tuple[type | None, str]], scan: bool, report: Any) -> Any:
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected `model` to be an nn.Module, but got {type(model).__name__}.")
    done = Conversion()
    classes: dict[int, type] = {}
    for name, module in members(model, lambda m: bool(opaque(m))).items():
        done.modules += 1
        reason = opaque(module)
        if reason:
            done.left[name] = reason
            continue
        found, reason = target(module)
        if found is not None:
            done.replaced[name] = plain_class(module).__name__
        elif reason:
            done.left[name] = f"({type(module).__name__}) {reason}"
        classes[id(module)] = placed(module, found or plain_class(module))
        if scan and (calls := calls_of(module)):
            done.calls[name] = calls
    result = rebuild(model, lambda m: classes[id(m)], lambda m: bool(opaque(m)))
    if report is not None:
        report(done)
    elif done.left or done.calls:
        names = [name or "(the model)" for name in {**done.left, **done.calls}]
        number = f"{len(names)} module" + ("s" if len(names) > 1 else "")
        warnings.warn(f"{number} kept arithmetic as it was: {_few(names)}; pass report=print to see why.", stacklevel=3)
    return result


def convert(model: Model, *, report: Callable[[Conversion], Any] | None = None) -> Model:
    """A copy of the model in which every torch.nn layer that `lightconv.nn` reimplements is ours.

    The modules are new, the argument is untouched; parameters and buffers are the same objects in both, so that an
    optimiser of the one trains the other. Names, hooks, training mode, device, dtype, memory format,
    parametrisations and tied modules are kept. A layer's subclass is converted too, and stays an instance of its
    class, unless it computes in a way of its own; a `forward` that goes on to `super().forward` does not. A model that
    is a single layer works as well.

    Functions that the model's own code calls, such as `torch.nn.functional.interpolate`, are not modules: they stay,
    and are reported. `lightconv.everywhere` reaches them.

    Args:
        model: any module.
        report: called with a `Conversion`, the summary of what was done: `report=print` prints it. Without it, a
            warning names what kept its arithmetic, if anything did.

    Raises:
        TypeError: if `model` is not a module.

    >>> import torch, lightconv
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
    >>> ours = lightconv.convert(net, report=print)
    1 of 3 modules exchanged
    layer   number  names
    Conv2d       1  0
    >>> type(ours[0]).__module__, ours[0].weight is net[0].weight
    ('lightconv.nn.conv', True)
    """
    return _exchange(model, to_ours, True, report)


def revert(model: Model, *, report: Callable[[Conversion], Any] | None = None) -> Model:
    """The reverse of `convert`: a copy of the model in which our layers are torch.nn's again.

    Layers that torch.nn does not have, and classes derived from ours, stay and are reported.

    Args:
        model: any module.
        report: called with a `Conversion`, the summary of what was done: `report=print` prints it. Without it, a
            warning names what kept its arithmetic, if anything did.

    Raises:
        TypeError: if `model` is not a module.

    >>> import torch, lightconv
    >>> type(lightconv.revert(lightconv.nn.Conv2d(1, 4, 3))) is torch.nn.Conv2d
    True
    """
    return _exchange(model, to_torch, False, report)
