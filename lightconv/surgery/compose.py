"""Two linear layers as one convolution, where one is exactly equal."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightconv.functional.geometry import numel, show
from lightconv.functional.windows import taps
from lightconv.surgery.linear import Axis, Linear, layer, linear, refusal, row_number, spatial

__all__ = ["compose"]


class NotComposable(ValueError):
    """No single convolution computes the two layers."""


def compose(first: nn.Module, second: nn.Module) -> nn.Module:
    """One convolution layer equal to `second(first(x))` for every x, border included.

    Without padding between the two it is the convolution with

        weight[:, :, s1 d2 u + d1 t] += second.weight[:, :, u] @ first.weight[:, :, t]
        bias = second.bias + (sum over u of second.weight[:, :, u]) @ first.bias
        stride = s1 s2,   groups = gcd(g1, g2)

    where s, d and g are the strides, dilations and groups: kernels are convolved with each other, strides multiply,
    and so do transposed convolutions. Where padding differs between the ends of an axis, the kernel is made longer
    by zeros. The result is a layer of `lightconv.nn` with parameters of its own, computed in float64.

    Zeros that `second` pads around its input are not what `first` would have computed out there. So with padding
    between the two, equality holds only if `first` computes zero there: no bias, and padding of its own that reaches
    as far as its kernel (padding >= dilation * (kernel_size - 1), as with 1x1 kernels). Otherwise the border of the
    output differs, and composing is refused. `conv_matrix(second) @ conv_matrix(first)` is exact at the border too,
    as one matrix.

    Source: *Understanding Deep Learning*, section 10.2, and the closing question of notebook 10.1.

    Args:
        first: a convolution or transposed convolution of torch.nn or ours, average pooling without special cases at
            the border, or batch normalisation in evaluation mode.
        second: the same; at least one of the two is a convolution.

    Raises:
        ValueError: where no single convolution is exactly equal; the sentence says why and what would make it so.
        TypeError: for other modules.

    >>> import lightconv.nn as nn
    >>> smooth = nn.Conv1d(1, 1, 3, bias=False)
    >>> smooth.weight.data.fill_(1.0)
    tensor([[[1., 1., 1.]]])
    >>> compose(smooth, smooth).weight
    Parameter containing:
    tensor([[[1., 2., 3., 2., 1.]]], requires_grad=True)
    """
    return layer(composed(first, second), _with_parameters(first, second))


def composed(first: nn.Module, second: nn.Module) -> Linear:
    """The form of `compose(first, second)`."""
    a, b = _forms(first, second)
    if a.weight.shape[0] != b.weight.shape[1] * b.groups:
        raise ValueError(
            f"Expected `second` to take the {a.weight.shape[0]} channels that `first` gives, "
            f"but got a layer for {b.weight.shape[1] * b.groups}."
        )
    return _combine(a, b)


def _forms(first: nn.Module, second: nn.Module) -> tuple[Linear, Linear]:
    for name, module in (("first", first), ("second", second)):
        if not isinstance(module, nn.Module):
            raise TypeError(f"Expected `{name}` to be a layer, but got {show(module)}.")
        reason = refusal(module)
        if reason:
            raise NotComposable(f"Expected `{name}` to be a linear layer, but {reason}.")
    kinds = {spatial(first), spatial(second)} - {None}
    if len(kinds) != 1:
        raise NotComposable(
            f"Expected two layers with the same number of spatial axes, but got {type(first).__name__} and "
            f"{type(second).__name__}."
        )
    axes = kinds.pop()
    assert axes is not None
    parameters = [p for module in (first, second) for p in module.parameters()]
    if not parameters:
        raise NotComposable("Expected a convolution among the two layers, but got none; their channels are unknown.")
    places = {(p.device, p.dtype) for p in parameters}
    if len(places) != 1:
        kinds_found = ", ".join(sorted(f"{dtype} on {device}" for device, dtype in places))
        raise NotComposable(f"Expected parameters of one dtype on one device, but got {kinds_found}.")
    dtype = torch.complex128 if parameters[0].is_complex() else torch.float64
    if not any(True for _ in first.parameters()):
        b = linear(second, 0, axes, dtype)
        return linear(first, b.weight.shape[1] * b.groups, axes, dtype), b
    a = linear(first, 0, axes, dtype)
    return a, linear(second, a.weight.shape[0], axes, dtype)


def _with_parameters(first: nn.Module, second: nn.Module) -> nn.Module:
    return first if any(True for _ in first.parameters()) else second


# --- one axis --------------------------------------------------------------------------------------------------


Places = list[list[int | None]]


@dataclass(frozen=True)
class _Joint:
    """Two axes as one: `places[t][u]` for tap t of the first and u of the second, None where they never meet."""

    transposed: bool
    stride: int
    places: Places
    size: int

    def axis(self) -> Axis:
        places = sorted({p for row in self.places for p in row if p is not None})
        return Axis(self.stride, tuple(places) or (0,), self.size)

    def turned(self) -> "_Joint":
        places = [[None if p is None else -p for p in row] for row in self.places]
        return _Joint(not self.transposed, 1, places, self.size + (-2 if self.transposed else 2))


def _joint(a: Axis, b: Axis, a_writes: bool, b_writes: bool) -> _Joint:
    if b_writes and not a_writes:
        if a.stride == 1:
            a, a_writes = a.turned(a_writes), True
        elif b.stride == 1:
            b, b_writes = b.turned(b_writes), False
        else:
            raise NotComposable(
                f"No single convolution is equal: after stride {a.stride}, the pattern of a transposed convolution "
                f"with stride {b.stride} repeats only every {b.stride} outputs. Exact with stride 1 in one of the two."
            )
    if not a_writes and not b_writes:
        read: Places = [[a.stride * u + t for u in b.places] for t in a.places]
        return _Joint(False, a.stride * b.stride, read, a.size + a.stride * (1 + b.size))
    if a_writes and b_writes:
        written: Places = [[b.stride * t + u for u in b.places] for t in a.places]
        return _Joint(True, a.stride * b.stride, written, (a.size - 1) * b.stride + b.size)
    if b.stride % a.stride == 0:
        return _Joint(
            False,
            b.stride // a.stride,
            [[_divided(u - t, a.stride) for u in b.places] for t in a.places],
            (a.size + b.size) // a.stride - 1,
        )
    if a.stride % b.stride == 0:
        return _Joint(
            True,
            a.stride // b.stride,
            [[_divided(t - u, b.stride) for u in b.places] for t in a.places],
            (a.size + b.size) // b.stride + 1,
        )
    raise NotComposable(
        f"No single convolution is equal: stride {a.stride} up and stride {b.stride} down make a fraction. Exact where "
        "one is a multiple of the other."
    )


def _divided(value: int, by: int) -> int | None:
    return value // by if value % by == 0 else None


# --- the border ------------------------------------------------------------------------------------------------


def _reads_outside(axis: Axis) -> bool:
    """Whether windows of a convolution stick out of its input."""
    return min(axis.places) < 0 or axis.size + max(axis.places) + 1 > 0


@dataclass(frozen=True)
class _Meeting:
    """What the second layer asks for outside of what the first one gives, along an axis.

    - `asked`: whether it asks for anything there;
    - `cut`: whether the first, going on over an input with zeros around, would have had another value there.
    """

    asked: bool
    cut: bool


def _meeting(a: Axis, b: Axis, a_writes: bool, b_writes: bool) -> _Meeting:
    """Found by counting, for an input long enough to keep its ends apart, in each phase of the strides."""
    asked = cut = False
    reach = max(map(abs, a.places)) + a.stride * (max(map(abs, b.places)) + b.stride + 1)
    for n in range(2 * reach + abs(a.size), 2 * reach + abs(a.size) + a.stride * b.stride):
        between = a.length(n, a_writes)
        needs = _outside_needed(b, b_writes, between)
        asked = asked or bool(needs)
        cut = cut or any(_has_value(a, a_writes, n, place) for place in needs)
    return _Meeting(asked, cut)


def _outside_needed(axis: Axis, transposed: bool, n: int) -> set[int]:
    """Places outside of an input of n elements on which outputs depend."""
    m, s = axis.length(n, transposed), axis.stride
    if not transposed:
        return {s * o + p for o in range(m) for p in axis.places} - set(range(n))
    beyond = max(map(abs, axis.places)) + abs(axis.size) + 1
    around = (*range(-beyond, 0), *range(n, n + beyond))
    return {i for i in around if any(0 <= s * i + p < m for p in axis.places)}


def _has_value(axis: Axis, transposed: bool, n: int, place: int) -> bool:
    """Whether a layer over n elements, zeros around them, has a value at this place of its output."""
    if transposed:
        return any((place - p) % axis.stride == 0 and 0 <= (place - p) // axis.stride < n for p in axis.places)
    return any(0 <= axis.stride * place + p < n for p in axis.places)


def _padding_mode(a: Linear, b: Linear) -> str:
    """What lies around the input of the two as one; refused where it cannot be told."""
    modes = set()
    asked = False
    for x, y in zip(a.axes, b.axes, strict=True):
        read = x.turned(True) if a.transposed and x.stride == 1 else x
        outside = (a.transposed and x.stride != 1) or _reads_outside(read)
        if outside:
            modes.add(a.padding_mode)
        met = _meeting(x, y, a.transposed, b.transposed)
        if not met.asked:
            continue
        if b.padding_mode == "zeros":
            asked = True
            modes.add("zeros")
            if met.cut or (outside and a.padding_mode != "zeros"):
                raise NotComposable(_cut(a) if b.transposed and a.transposed else _PADDED)
        else:
            modes.add(b.padding_mode)
            same_size = read.stride == 1 and read.size == -1
            circular = a.padding_mode == b.padding_mode == "circular"
            if not same_size or (read.places != (0,) and not circular):
                raise NotComposable(_MODE.format(b.padding_mode))
    if len(modes) > 1:
        raise NotComposable(
            f"No single convolution is equal: it would have to pad in more than one way, {', '.join(sorted(modes))}."
        )
    if a.bias is not None and bool((a.bias != 0).any()):
        if asked:
            raise NotComposable(_BIAS)
        if b.transposed and any(y.stride != 1 for y in b.axes):
            raise NotComposable(
                "No single convolution is equal: `second`, transposed with a stride, spreads the bias of `first` "
                "unevenly. Exact without that bias."
            )
    return modes.pop() if modes else "zeros"


_PADDED = (
    "No single convolution is equal at the border: `second` pads by zeros where `first` would go on with other values. "
    "Exact without padding in `second`, or with padding of at least dilation * (kernel_size - 1) and no bias in "
    "`first`; conv_matrix(second) @ conv_matrix(first) is exact as it is, as one matrix."
)
_BIAS = (
    "No single convolution is equal at the border: `second` sees zeros where `first` would go on with its bias. Exact "
    "without that bias, or without padding in `second`."
)
_MODE = (
    "No single convolution is equal at the border: `second` pads by '{}' what `first` has made of its input. Exact "
    "without padding in `second`, with a 1x1 kernel of stride 1 in `first`, or where both pad by 'circular' and "
    "`first` keeps the size."
)


def _cut(a: Linear) -> str:
    return (
        "No single convolution is equal at the border: `first` cuts off (padding) what `second` would still spread "
        "into the output. Exact with padding=0 in `first`, or where the windows of `second` do not overlap."
    )


# --- the weights -----------------------------------------------------------------------------------------------


def _combine(a: Linear, b: Linear) -> Linear:
    joints = [_joint(x, y, a.transposed, b.transposed) for x, y in zip(a.axes, b.axes, strict=True)]
    mode = _padding_mode(a, b)
    kinds = {joint.transposed for joint in joints if joint.stride != 1}
    if len(kinds) > 1:
        raise NotComposable("No single convolution is equal: it would be strided along one axis, transposed along one.")
    transposed = kinds.pop() if kinds else a.transposed and b.transposed
    if transposed and mode != "zeros":
        raise NotComposable(f"No single convolution is equal: a transposed one cannot pad by '{mode}'.")
    joints = [joint if joint.transposed == transposed else joint.turned() for joint in joints]
    axes = tuple(joint.axis() for joint in joints)
    groups = math.gcd(a.groups, b.groups)
    first, second = _blocks(a, groups), _blocks(b, groups)
    kernel = tuple(len(axis.places) for axis in axes)
    weight = first.new_zeros(groups, second.shape[1], first.shape[2], numel(kernel))
    numbers: list[dict[int | None, int]] = [{p: i for i, p in enumerate(axis.places)} for axis in axes]
    first_taps = list(taps(tuple(len(axis.places) for axis in a.axes)))
    for number, u in enumerate(taps(tuple(len(axis.places) for axis in b.axes))):
        product = torch.einsum("gom,gmik->goik", second[..., number], first)
        source, target = [], []
        for k, t in enumerate(first_taps):
            places = [joint.places[i][j] for joint, i, j in zip(joints, t, u, strict=True)]
            if None not in places:
                source.append(k)
                target.append(row_number([at.get(p) for at, p in zip(numbers, places, strict=True)], kernel))
        weight.index_add_(3, torch.tensor(target, dtype=torch.int64), product[..., source])
    bias = b.bias
    if a.bias is not None:
        carried = torch.einsum("gomk,gm->go", second, a.bias.reshape(groups, -1)).flatten()
        bias = carried if bias is None else bias + carried
    return Linear(transposed, weight.flatten(0, 1), bias, groups, axes, mode)


def _blocks(form: Linear, groups: int) -> Tensor:
    """The weights in fewer groups, zeros between those that were separate: (groups, C_out, C_in, taps) within them."""
    split = form.groups // groups
    rows, columns, k = form.weight.shape
    weight = form.weight.reshape(groups, split, rows // form.groups, 1, columns, k)
    dense = weight * torch.eye(split, dtype=weight.dtype).reshape(1, split, 1, split, 1, 1)
    return dense.reshape(groups, rows // groups, columns * split, k)
