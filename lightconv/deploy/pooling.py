"""Pooling and unpooling in ONNX."""

import itertools
import math
import operator
from typing import Any

import numpy as np

from lightconv.deploy.files import ExportError
from lightconv.deploy.translation import constant, multiply, spatial, translates, vector
from lightconv.functional.bins import bins


@translates
def max_pool(op: Any, input: Any, kernel: Any, stride: Any, pads: Any, dilation: Any, ceil_mode: Any) -> Any:
    """One node."""
    return _max_pool(op, input, kernel, stride, pads, dilation, ceil_mode)[0]


@translates
def max_pool_with_indices(
    op: Any, input: Any, kernel: Any, stride: Any, pads: Any, dilation: Any, ceil_mode: Any
) -> Any:
    """ONNX counts indices over the whole tensor, torch over each plane: the remainder by the plane's size."""
    values, indices, extra = _max_pool(op, input, kernel, stride, pads, dilation, ceil_mode)
    sizes = spatial(input)
    if sizes is None:
        return values, op.Mod(indices, op.ReduceProd(op.Shape(input, start=2), keepdims=0))
    indices = op.Mod(indices, math.prod(map(operator.add, sizes, extra)))
    if any(extra):
        number = np.pad(np.arange(math.prod(sizes)).reshape(sizes), [(0, n) for n in extra])
        indices = op.Gather(constant(op, number.flatten()), indices)
    return values, indices


def _max_pool(op: Any, input: Any, kernel: Any, stride: Any, pads: Any, dilation: Any, ceil_mode: bool) -> Any:
    """Maxima, their indices, and what was added to the ends of the input.

    ONNX's ceil_mode is defined otherwise if the last window starts in the padding. Therefore, where sizes are known,
    the padding is made to end with the last window. It has to be smaller than the kernel; what dilated windows need
    more is added beforehand.
    """
    sizes = spatial(input)
    axes = len(kernel)
    extra = [0] * axes
    if ceil_mode and sizes:
        span = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        pads, ceil_mode = _whole_windows(sizes, span, stride, pads), False
        extra = [max(0, high - k + 1) for high, k in zip(pads[axes:], kernel, strict=True)]
        if any(extra):
            pads = [*pads[:axes], *map(operator.sub, pads[axes:], extra)]
            lowest = -np.inf if input.dtype.is_floating_point() else np.iinfo(input.dtype.numpy()).min
            input = op.Pad(input, [0] * (4 + axes) + extra, constant(op, np.array(lowest), input))
    values, indices = op.MaxPool(
        input, kernel_shape=kernel, strides=stride, pads=pads, dilations=dilation, ceil_mode=int(ceil_mode)
    )
    return values, indices, extra


def _windows(size: int, span: int, stride: int, low: int, high: int) -> int:
    """Windows with ceil_mode: the last one starts inside the input or the padding before it."""
    count = -(-(size + low + high - span) // stride) + 1
    return count - 1 if (count - 1) * stride >= size + low else count


def _whole_windows(sizes: Any, span: Any, stride: Any, pads: Any) -> list[int]:
    """Padding that ends where the last window of ceil_mode ends, so that rounding down gives as many windows."""
    axes = len(sizes)
    ends = []
    for i in range(axes):
        count = _windows(sizes[i], span[i], stride[i], pads[i], pads[i + axes])
        ends.append(max(0, (count - 1) * stride[i] + span[i] - sizes[i] - pads[i]))
    return [*pads[:axes], *ends]


@translates
def avg_pool(
    op: Any,
    input: Any,
    kernel: Any,
    stride: Any,
    pads: Any,
    ceil_mode: Any,
    count_include_pad: Any,
    divisor_override: Any,
) -> Any:
    """The means of all elements with padding, times what corrects the number that they were divided by."""
    sizes = spatial(input)
    if ceil_mode and sizes is None and divisor_override is not None:
        raise ExportError("Expected fixed sizes for avg_pool with both ceil_mode and divisor_override.")
    whole = _whole_windows(sizes, kernel, stride, pads) if ceil_mode and sizes else pads
    if divisor_override is None:
        if not count_include_pad or not any(pads):
            return op.AveragePool(
                input,
                kernel_shape=kernel,
                strides=stride,
                pads=whole,
                ceil_mode=int(ceil_mode and sizes is None),
                count_include_pad=0,
            )
        ratio = _included(sizes, kernel, stride, pads, whole) if ceil_mode and sizes else np.ones(())
        ceil_mode = ceil_mode and sizes is None
    else:
        ratio = np.asarray(math.prod(kernel) / divisor_override)
        ceil_mode = False
    means = op.AveragePool(
        input, kernel_shape=kernel, strides=stride, pads=whole, ceil_mode=int(ceil_mode), count_include_pad=1
    )
    return means if np.all(ratio == 1) else op.Mul(means, constant(op, ratio, input))


def _included(sizes: Any, kernel: Any, stride: Any, pads: Any, whole: Any) -> np.ndarray:
    """Elements of a window by those of them that lie in the input or its own padding, for each window."""
    axes = len(sizes)
    ratio = np.ones((1,) * axes)
    for i in range(axes):
        first = np.arange((sizes[i] + pads[i] + whole[i + axes] - kernel[i]) // stride[i] + 1) * stride[i]
        counted = np.minimum(first + kernel[i], sizes[i] + pads[i] + pads[i + axes]) - first
        ratio = ratio * (kernel[i] / counted).reshape(-1, *(1,) * (axes - 1 - i))
    return ratio


@translates
def adaptive_avg_pool(op: Any, input: Any, output_size: Any) -> Any:
    """AveragePool if all bins of an axis have one length and distance, else a matrix along each axis."""
    sizes = spatial(input)
    if all(m == 1 for m in output_size):
        return op.GlobalAveragePool(input)
    if not _fixed(sizes, output_size):
        raise ExportError("Expected fixed sizes for adaptive_avg_pool to more than one element.")
    even = [_even_bins(n, m) for n, m in zip(sizes, output_size, strict=True)]  # type: ignore[arg-type]
    if all(even):
        lengths, steps = zip(*even, strict=True)  # type: ignore[arg-type]
        return op.AveragePool(input, kernel_shape=lengths, strides=steps)
    return multiply(op, input, [_means(n, m) for n, m in zip(sizes, output_size, strict=True)])  # type: ignore[arg-type]


@translates
def adaptive_max_pool(op: Any, input: Any, output_size: Any) -> Any:
    """MaxPool if all bins of an axis have one length and distance; else their elements are first put in a row."""
    sizes = spatial(input)
    axes = len(output_size)
    if sizes is None and all(m == 1 for m in output_size):
        flat = op.Reshape(input, [0, 0, -1])
        indices = op.ArgMax(flat, axis=2)
        return op.GlobalMaxPool(input), op.Unsqueeze(indices, list(range(3, 2 + axes))) if axes > 1 else indices
    if not _fixed(sizes, output_size):
        raise ExportError("Expected fixed sizes for adaptive_max_pool to more than one element.")
    assert sizes is not None
    even = [_even_bins(n, m) for n, m in zip(sizes, output_size, strict=True)]
    if all(even):
        lengths, steps = zip(*even, strict=True)  # type: ignore[arg-type]
        values, indices = op.MaxPool(input, kernel_shape=lengths, strides=steps)
        return values, op.Mod(indices, math.prod(sizes))
    rows = [_bins_in_a_row(n, m) for n, m in zip(sizes, output_size, strict=True)]
    number = np.arange(math.prod(sizes)).reshape(sizes)
    for axis, (read, _) in enumerate(rows):
        number = number.take(read, axis)
        if not np.array_equal(read, np.arange(sizes[axis])):
            input = op.Gather(input, constant(op, read), axis=2 + axis)
    lengths = [length for _, length in rows]
    values, indices = op.MaxPool(input, kernel_shape=lengths, strides=lengths)
    return values, op.Gather(constant(op, number.flatten()), op.Mod(indices, number.size))


def _fixed(sizes: Any, output_size: Any) -> bool:
    return sizes is not None and all(isinstance(m, int) for m in output_size)


def _even_bins(n: int, m: int) -> tuple[int, int] | None:
    """Length and distance of `m` bins of `n` elements, if these are the same for all."""
    starts, ends = bins(n, m)
    lengths = {end - start for start, end in zip(starts, ends, strict=True)}
    steps = {b - a for a, b in itertools.pairwise(starts)} or {1}
    if len(lengths) != 1 or len(steps) != 1 or 0 in steps:
        return None
    return lengths.pop(), steps.pop()


def _means(n: int, m: int) -> np.ndarray | None:
    """The matrix of the means of bins."""
    if n == m:
        return None
    matrix = np.zeros((m, n))
    for row, start, end in zip(matrix, *bins(n, m), strict=True):
        row[start:end] = 1 / (end - start)
    return matrix


def _bins_in_a_row(n: int, m: int) -> tuple[np.ndarray, int]:
    """The elements of all bins one after the other, shorter ones with their last element again; their length."""
    starts, ends = bins(n, m)
    length = max(end - start for start, end in zip(starts, ends, strict=True))
    taps = np.asarray(starts)[:, None] + np.arange(length)
    return np.minimum(taps, np.asarray(ends)[:, None] - 1).flatten(), length


@translates
def max_unpool(op: Any, input: Any, indices: Any, output_size: Any) -> Any:
    """Indices into planes become indices into the whole tensor, which is how ONNX counts."""
    sizes = spatial(input)
    lead = op.Shape(input, start=0, end=2)
    fixed = all(isinstance(m, int) for m in output_size)
    plane = vector(op, output_size)
    places = math.prod(output_size) if fixed else op.ReduceProd(plane, keepdims=0)
    first = op.Mul(op.Range(0, op.ReduceProd(lead, keepdims=0), 1), places)
    ones = constant(op, np.ones(len(output_size), np.int64))
    whole = op.Add(indices, op.Reshape(first, op.Concat(lead, ones, axis=0)))
    if sizes is not None and fixed:
        return _unpool(op, input, whole, sizes, output_size)
    return _unpool_to(op, input, whole, op.Concat(lead, plane, axis=0))


@translates
def max_unpool_like(op: Any, input: Any, indices: Any, pooled: Any) -> Any:
    """ONNX's own indices, before the remainder was taken."""
    sizes, output_size = spatial(input), spatial(pooled)
    if indices.producer().op_type != "Mod":
        return max_unpool(op, input, indices, output_size)
    whole = indices.producer().inputs[0]
    if sizes is not None and output_size is not None:
        return _unpool(op, input, whole, sizes, output_size)
    return _unpool_to(op, input, whole, op.Shape(pooled))


def _unpool(op: Any, input: Any, indices: Any, sizes: Any, output_size: Any) -> Any:
    """Any windows do that give the output size: the indices alone say where elements go."""
    kernel, steps, ends = zip(*map(_unpooling, sizes, output_size), strict=True)
    return op.MaxUnpool(input, indices, kernel_shape=kernel, strides=steps, pads=[*ends, *ends])


def _unpool_to(op: Any, input: Any, indices: Any, shape: Any) -> Any:
    ones = [1] * (len(input.shape) - 2)
    return op.MaxUnpool(input, indices, shape, kernel_shape=ones, strides=ones)


def _unpooling(n: int, m: int) -> tuple[int, int, int]:
    """Kernel, stride and padding by which n elements become m."""
    if m < n:
        return n - m + 1, 1, n - m
    step = max(1, (m - 1) // (n - 1)) if n > 1 else 1
    return m - (n - 1) * step, step, 0
