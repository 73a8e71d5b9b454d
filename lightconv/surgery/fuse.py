"""Layers merged with their neighbours, for inference: the same outputs by fewer operations."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import lightconv.nn
from lightconv.functional.geometry import memory_format, numel, show, to_sizes
from lightconv.surgery.compose import composed
from lightconv.surgery.count import Cost, count, milliseconds, parameters
from lightconv.surgery.flow import Flow, flow
from lightconv.surgery.linear import (
    AVERAGES,
    Linear,
    conv_like,
    layer,
    linear,
    norm_affine,
    norm_like,
    refusal,
    spatial,
)
from lightconv.surgery.pairs import computes_as, opaque, own_class, plain_class, to_torch
from lightconv.surgery.table import table
from lightconv.surgery.tree import rebuild

__all__ = ["Fusion", "fuse"]

Model = TypeVar("Model", bound=nn.Module)


@dataclass
class Fusion:
    """What `fuse` did; printed, it is a table.

    - `fused`: for each new layer, its name, what it is, and the names of the layers that went into it;
    - `left`: why neighbours that could have been fused were not;
    - `before`, `after`: operations, parameters and bytes moved of a forward pass of the example;
    - `milliseconds`: its time before and after, measured in turn on this machine;
    - `difference`: largest difference between the outputs, relative to the largest output.

    Without an example the last three are None, and `before` and `after` count parameters only.
    """

    fused: list[tuple[str, str, str]] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    before: Cost = field(default_factory=Cost)
    after: Cost = field(default_factory=Cost)
    milliseconds: tuple[float, float] | None = None
    difference: float | None = None

    def __str__(self) -> str:
        text = [f"{len(self.fused)} layer{'s' * (len(self.fused) != 1)} fused"]
        if self.fused:
            text += table(("name", "layer", "made of"), self.fused)
        rows: list[tuple[Any, ...]] = []
        if self.milliseconds is not None:
            rows.append(("operations", self.before.operations, self.after.operations))
            rows.append(("bytes moved", self.before.moved, self.after.moved))
        rows.append(("parameters", self.before.parameters, self.after.parameters))
        lines = table(("", "before", "after"), rows)
        if self.milliseconds is not None:
            lines.append("milliseconds: {:.3g} before, {:.3g} after".format(*self.milliseconds))
            lines.append(f"largest difference: {self.difference:.1e} of the largest output")
        text += lines
        if self.left:
            text.append("Left as they are:")
        reasons: dict[str, list[str]] = {}
        for name, reason in self.left.items():
            reasons.setdefault(reason, []).append(name or "(the model)")
        for reason, names in reasons.items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            text.append(f"  {names[0]}{more}: {reason}")
        return "\n".join(text)


def fuse(model: Model, example: Any = None, *, report: Callable[[Fusion], Any] | None = None) -> Model:
    """A copy of the model, for inference, in which layers are merged with their neighbours; outputs stay the same.

    - Batch normalisation in evaluation mode is folded into the convolution or transposed convolution before it.
    - Linear neighbours (convolutions, transposed convolutions, average pooling, batch normalisation) become one
      convolution by `compose`, where that is exact and takes fewer operations.
    - Conv2d, MaxPool2d and ReLU, the last two in either order, become `lightconv.nn.ConvMaxPoolReLU`.

    The data flow is taken from `forward`, followed by torch.fx, and only a layer that is called once, whose result
    nobody else reads, and that has neither hooks nor parametrisations is merged. The model's classes and its own code
    stay: the merged layer stands in the place of the convolution, `Identity` in those of the others. Layers that were
    not merged keep their Parameter objects; the argument is untouched. Modules are merged, calls of functions are not.

    Args:
        model: any module, usually after `eval()`: batch normalisation and dropout in training mode stay.
        example: an input, or a tuple of all inputs. With it, operations are counted for its size, and the
            report compares cost, time and outputs; without it, neighbours are composed if that is cheaper at
            every size.
        report: called with a `Fusion`, the summary of what was done and why not more: `report=print` prints it.

    Raises:
        TypeError: if `model` is not a module, or `example` holds no tensor.

    >>> import torch, lightconv, lightconv.nn as nn
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)).eval()
    >>> [type(layer).__name__ for layer in lightconv.fuse(net)]
    ['ConvMaxPoolReLU', 'Identity', 'Identity', 'Identity']
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected `model` to be an nn.Module, but got {type(model).__name__}.")
    inputs = None if example is None else example if isinstance(example, tuple) else (example,)
    if inputs is not None and not any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(inputs)):
        raise TypeError(f"Expected `example` to be the model's input, or a tuple of all, but got {show(example)}.")
    done = Fusion()
    # tracing runs the model's own code, which may keep what it sees: let it do so in a copy
    known = flow(_copy(model))
    changes = _changes(model, known, _input_sizes(model, inputs), done)
    result: Any = rebuild(model, lambda m: changes.get(id(m), own_class(m)), _closed)
    if changes and flow(_copy(result)).text != known.text:
        done.left = {"": "its code depends on the layers' attributes, and would run differently"}
        done.fused = []
        result = _copy(model)
    if report is not None:
        _measure(done, model, result, inputs)
        report(done)
    return result


def _closed(module: nn.Module) -> bool:
    return bool(opaque(module))


def _copy(model: Any) -> Any:
    return rebuild(model, own_class, _closed)


# --- which layers ----------------------------------------------------------------------------------------------


def _changes(model: nn.Module, known: Flow, sizes: dict[str, tuple[int, ...]], done: Fusion) -> dict[int, nn.Module]:
    """What to put in the place of each layer that is merged, by its id."""
    modules = dict(model.named_modules())
    for name, reason in known.unknown.items():
        if any(conv_like(m) or norm_like(m) for m in modules[name].modules()):
            done.left[name] = reason
    following, led = {}, set()
    for link in known.links:
        first, second = modules[link.first], modules[link.second]
        if not (_mergeable(first) and _mergeable(second)):
            continue
        if link.reason:
            if conv_like(first) and (conv_like(second) or norm_like(second)):
                done.left[f"{link.first}, {link.second}"] = link.reason
            continue
        following[link.first] = link.second
        led.add(link.second)
    changes: dict[int, nn.Module] = {}
    for start in following:
        if start in led:
            continue
        names = [start]
        while names[-1] in following:
            names.append(following[names[-1]])
        chain = [_Part([name], modules[name], sizes.get(name)) for name in names]
        for part in _form_blocks(_merge_linear(chain, done)):
            if len(part.names) == 1:
                continue
            home = next((n for n in part.names if conv_like(modules[n])), part.names[0])
            for name in part.names:
                changes[id(modules[name])] = nn.Identity().train(modules[name].training)
            changes[id(modules[home])] = part.module
            others = ", ".join(name for name in part.names)
            done.fused.append((home, type(part.module).__name__, others))
    return changes


def _pool_like(module: nn.Module) -> bool:
    if computes_as(module, nn.MaxPool2d) is None:
        return False
    kernel, stride, padding, dilation = (
        to_sizes(getattr(module, name), 2, name) for name in ("kernel_size", "stride", "padding", "dilation")
    )
    plain = kernel == stride and padding == (0, 0) and dilation == (1, 1)
    return plain and not module.ceil_mode and not module.return_indices


def _relu_like(module: nn.Module) -> bool:
    return computes_as(module, nn.ReLU) is not None


def _mergeable(module: nn.Module) -> bool:
    return _linear_like(module) or _pool_like(module) or _relu_like(module)


def _linear_like(module: nn.Module) -> bool:
    return conv_like(module) or norm_like(module) or computes_as(module, *AVERAGES) is not None


def _worthwhile(first: nn.Module, second: nn.Module) -> bool:
    """Whether merging the two, were it allowed, would be something to speak of."""
    conv = conv_like(first) or conv_like(second)
    return conv and _linear_like(first) and _linear_like(second)


# --- linear neighbours -----------------------------------------------------------------------------------------


@dataclass
class _Part:
    """A layer on the way to being merged: the names that went into it, and the size of its input where known."""

    names: list[str]
    module: nn.Module
    size: tuple[int, ...] | None


def _merge_linear(chain: list[_Part], done: Fusion) -> list[_Part]:
    """Neighbours that are linear, as one where that is exact and cheaper."""
    parts = list(chain)
    i = 0
    while i + 1 < len(parts):
        first, second = parts[i], parts[i + 1]
        merged: nn.Module | str = ""
        if _linear_like(first.module) and _linear_like(second.module) and _worthwhile(first.module, second.module):
            merged = _merged(first, second)
        if isinstance(merged, nn.Module):
            parts[i : i + 2] = [_Part(first.names + second.names, merged, first.size)]
            i = max(i - 1, 0)
            continue
        if merged:
            done.left[f"{first.names[-1]}, {second.names[0]}"] = merged
        i += 1
    return parts


def _merged(first: _Part, second: _Part) -> nn.Module | str:
    """One layer for the two, or why not."""
    a, b = first.module, second.module
    reason = refusal(a) or refusal(b)
    if reason:
        return reason
    if conv_like(a) and norm_like(b):
        return _folded(a, b)
    try:
        result = layer(composed(a, b), a if conv_like(a) else b)
    except ValueError as error:
        return str(error)
    between: Any = a.out_channels if conv_like(a) else b.in_channels
    axes = spatial(a if conv_like(a) else b)
    assert axes is not None
    forms = [linear(module, between, axes, torch.float64) for module in (a, b)]
    whole = [linear(result, between, axes, torch.float64)]
    sizes = [first.size] if first.size is not None else [(n,) * axes for n in _SIZES]
    costs = [(_cost(whole, size), _cost(forms, size)) for size in sizes if _fits(forms, size)]
    if not costs or any(one[0] >= two[0] for one, two in costs):
        one, two = costs[-1] if costs else ((0, 0), (0, 0))
        return f"as one convolution they would take {one[0]:,} operations instead of {two[0]:,}"
    if any(one[1] > two[1] for one, two in costs):
        return "as one convolution they would move more bytes" + ("" if first.size else "; an example may tell better")
    if not any(plain_class(m).__module__.startswith("lightconv.") for m in (a, b)):
        result.__class__ = to_torch(result)[0]  # type: ignore[assignment]
    return result


# sizes at which to compare where the size of the input is not known
_SIZES = (*range(1, 65), 128, 256, 512, 1024)


def _fits(forms: list[Linear], size: tuple[int, ...]) -> bool:
    """Whether an input of this size leaves an output."""
    for form in forms:
        size = _out(form, size)
        if min(size) < 1:
            return False
    return True


def _out(form: Linear, size: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis.length(n, form.transposed) for axis, n in zip(form.axes, size, strict=True))


def _cost(forms: list[Linear], size: tuple[int, ...]) -> tuple[int, int]:
    """Multiply-additions of layers in a row, and numbers that they read and write, for one input of this size."""
    operations = moved = 0
    for form in forms:
        out = _out(form, size)
        operations += form.weight.numel() * numel(size if form.transposed else out)
        moved += form.weight.numel() + form.weight.shape[1] * form.groups * numel(size)
        moved += form.weight.shape[0] * numel(out)
        size = out
    return operations, moved


def _folded(conv: Any, norm: Any) -> nn.Module | str:
    """The convolution with batch normalisation in its weights and bias."""
    places = {(p.device, p.is_complex()) for m in (conv, norm) for p in (*m.parameters(), *m.buffers())}
    if len(places) != 1 or norm.num_features != conv.out_channels or spatial(norm) not in (None, spatial(conv)):
        return f"{type(norm).__name__} does not fit {type(conv).__name__}"
    scale, shift = norm_affine(norm, torch.float64)
    weight = conv.weight.detach().to("cpu", torch.float64)
    ones = (1,) * len(conv.kernel_size)
    if conv.transposed:
        by_group = weight.reshape(conv.groups, -1, *weight.shape[1:])
        weight = (by_group * scale.reshape(conv.groups, 1, -1, *ones)).reshape(weight.shape)
    else:
        weight = weight * scale.reshape(-1, 1, *ones)
    bias = shift if conv.bias is None else shift + scale * conv.bias.detach().to("cpu", torch.float64)
    result = _copy(conv)
    for name, value in (("weight", weight), ("bias", bias)):
        value = value.to(conv.weight).contiguous(
            memory_format=memory_format(conv.weight) if value.dim() > 1 else torch.contiguous_format
        )
        result._parameters[name] = nn.Parameter(value, conv.weight.requires_grad)
    return result


# --- convolution, pooling and ReLU -----------------------------------------------------------------------------


def _form_blocks(parts: list[_Part]) -> list[_Part]:
    """Conv2d, MaxPool2d and ReLU in a row as one layer."""
    result: list[_Part | None] = list(parts)
    for i in range(len(parts) - 2):
        conv, *others = (part.module for part in parts[i : i + 3])
        pool, relu = reversed(others) if _relu_like(others[0]) else others
        if computes_as(conv, nn.Conv2d) is not None and _pool_like(pool) and _relu_like(relu):
            names = [name for part in parts[i : i + 3] for name in part.names]
            result[i : i + 3] = [_Part(names, _block(conv, pool), parts[i].size), None, None]
    return [part for part in result if part is not None]


def _block(conv: Any, pool: Any) -> nn.Module:
    """The block with the convolution's own parameters."""
    block = lightconv.nn.ConvMaxPoolReLU(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.groups,
        conv.bias is not None,
        conv.padding_mode,
        device="meta",
        pool_size=to_sizes(pool.kernel_size, 2, "kernel_size"),
    )
    block._parameters.update(conv._parameters)
    return block.train(conv.training)


# --- the report ------------------------------------------------------------------------------------------------


def _scratch(model: nn.Module) -> nn.Module:
    """A copy to run: what a forward pass in training mode changes is not the model's."""
    result = _copy(model)
    for module in result.modules():
        for name, value in module._buffers.items():
            module._buffers[name] = None if value is None else value.clone()
    return result


def _input_sizes(model: nn.Module, inputs: tuple[Any, ...] | None) -> dict[str, tuple[int, ...]]:
    """Spatial size of the input of every layer in a forward pass of the example."""
    sizes: dict[str, tuple[int, ...]] = {}
    if inputs is None:
        return sizes
    copy = _scratch(model)
    for name, module in copy.named_modules():
        if _linear_like(module):

            def note(module: Any, args: Any, name: str = name) -> None:
                if args and isinstance(args[0], Tensor):  # else the layer itself says what it expects
                    axes = spatial(module) or args[0].dim() - 2
                    sizes[name] = tuple(args[0].shape[args[0].dim() - axes :])

            module.register_forward_pre_hook(note)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        copy(*inputs)
    return sizes


def _measure(done: Fusion, model: nn.Module, result: nn.Module, inputs: tuple[Any, ...] | None) -> None:
    if inputs is None:
        done.before, done.after = (Cost(parameters=parameters(m)) for m in (model, result))
        return
    both = [_scratch(model), _scratch(result)]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        seed = torch.random.initial_seed()
        outputs = []
        for module in both:
            torch.random.manual_seed(seed)
            outputs.append([v for v in pytree.tree_leaves(module(*inputs)) if isinstance(v, Tensor)])
        done.before, done.after = (count(module, *inputs) for module in both)
        first, second = milliseconds(both, inputs)
    done.milliseconds = (first, second)
    scale = max((float(v.abs().max()) for v in outputs[0] if v.numel()), default=0.0) or 1.0
    differences = (float((v - w).abs().max()) for v, w in zip(*outputs, strict=True) if v.numel())
    done.difference = max(differences, default=0.0) / scale
