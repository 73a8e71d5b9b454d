"""The slow truth: the book's notebooks, and the same operations in N dimensions, in plain NumPy loops.

Nothing here is fast and nothing is clever. Each function says one thing, loops over the positions of its output, and
can be followed with a pencil. The tests compare the package with it.

The first half keeps the names of the notebooks of chapter 10 of *Understanding Deep Learning* (Prince, 2023): 10.1
(1-D convolution), 10.3 (2-D convolution) and 10.4 (down- and upsampling). The second half is general: arrays of shape
(batch, channels, *spatial) with any number of spatial axes, and the options of ``torch.nn.functional``. Values come
back as float64 (complex128 for complex input), indices as int64.

>>> signal = [5.2, 5.3, 5.4, 5.1, 10.1, 10.3, 9.9, 10.3, 3.2, 3.4, 3.3, 3.1]
>>> round(float(conv_3_1_1_zp(signal, [0.33, 0.33, 0.33]).sum()), 1)
71.1
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = int | Sequence[int]
Floats = NDArray[np.float64]
Array = NDArray[Any]  # float64 or complex128

__all__ = [
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "avg_pool",
    "bilinear",
    "conv",
    "conv_3_1_1_zp",
    "conv_3_1_2_zp",
    "conv_3_2_1_zp",
    "conv_5_1_1_zp",
    "conv_numpy_1",
    "conv_numpy_2",
    "conv_numpy_3",
    "conv_numpy_4",
    "conv_transpose",
    "downsample",
    "duplicate",
    "fold",
    "get_conv_mat_3_1_1_zp",
    "interpolate",
    "max_pool",
    "max_unpool",
    "maxpool",
    "meanpool",
    "subsample",
    "two_convolutions_as_one",
    "unfold",
    "unpool",
    "upsample_zeros",
]


def _vector(name: str, values: ArrayLike, length: int | None = None) -> Floats:
    """Return `values` as a 1-D float array, of the stated length if there is one."""
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or (length is not None and len(array) != length):
        wanted = "a 1-D array" if length is None else f"{length} numbers"
        raise ValueError(f"Expected `{name}` to be {wanted}, but got an array of shape {array.shape}.")
    return array


def _picture(name: str, values: ArrayLike) -> Floats:
    """Return `values` as a 2-D float array."""
    array = np.asarray(values, dtype=float)
    if array.ndim != 2:
        raise ValueError(f"Expected `{name}` to be a 2-D array, but got one of shape {array.shape}.")
    return array


# Notebook 10.1: convolution in one dimension


def _conv_1d_zp(x_in: ArrayLike, omega: ArrayLike, kernel_size: int, stride: int, dilation: int) -> Floats:
    x = _vector("x_in", x_in)
    weights = _vector("omega", omega, kernel_size)
    middle = kernel_size // 2
    x_out = np.zeros(math.ceil(len(x) / stride))
    for o in range(len(x_out)):
        for k in range(kernel_size):
            i = o * stride + (k - middle) * dilation
            if 0 <= i < len(x):  # positions beyond the ends count as zero
                x_out[o] += weights[k] * x[i]
    return x_out


def conv_3_1_1_zp(x_in: ArrayLike, omega: ArrayLike) -> Floats:
    """Convolve a signal: kernel size 3, stride 1, dilation 1, zero padding (notebook 10.1; figures 10.2, 10.3a and b).

    Args:
        x_in: the signal, shape (n,).
        omega: the three weights.

    Returns:
        Shape (n,): ``x_out[o] = omega[0] * x_in[o-1] + omega[1] * x_in[o] + omega[2] * x_in[o+1]``, where positions
        beyond the ends count as zero.

    Raises:
        ValueError: if `x_in` is not 1-D or `omega` does not hold 3 numbers.

    Example:
        >>> conv_3_1_1_zp([1, 2, 3, 4], [1, 1, 1])
        array([3., 6., 9., 7.])
    """
    return _conv_1d_zp(x_in, omega, kernel_size=3, stride=1, dilation=1)


def conv_3_2_1_zp(x_in: ArrayLike, omega: ArrayLike) -> Floats:
    """Convolve a signal: kernel size 3, stride 2, dilation 1, zero padding (notebook 10.1, figure 10.3a and b).

    Args:
        x_in: the signal, shape (n,).
        omega: the three weights.

    Returns:
        Shape (ceil(n / 2),): every second position of `conv_3_1_1_zp`, the first included.

    Raises:
        ValueError: if `x_in` is not 1-D or `omega` does not hold 3 numbers.

    Example:
        >>> conv_3_2_1_zp([1, 2, 3, 4], [1, 1, 1])
        array([3., 9.])
    """
    return _conv_1d_zp(x_in, omega, kernel_size=3, stride=2, dilation=1)


def conv_5_1_1_zp(x_in: ArrayLike, omega: ArrayLike) -> Floats:
    """Convolve a signal: kernel size 5, stride 1, dilation 1, zero padding (notebook 10.1, figure 10.3c).

    Args:
        x_in: the signal, shape (n,).
        omega: the five weights.

    Returns:
        Shape (n,); two positions beyond each end count as zero.

    Raises:
        ValueError: if `x_in` is not 1-D or `omega` does not hold 5 numbers.

    Example:
        >>> conv_5_1_1_zp([1, 2, 3, 4], [1, 1, 1, 1, 1])
        array([ 6., 10., 10.,  9.])
    """
    return _conv_1d_zp(x_in, omega, kernel_size=5, stride=1, dilation=1)


def conv_3_1_2_zp(x_in: ArrayLike, omega: ArrayLike) -> Floats:
    """Convolve a signal: kernel size 3, stride 1, dilation 2, zero padding (notebook 10.1, figure 10.3d).

    Args:
        x_in: the signal, shape (n,).
        omega: the three weights, applied to every second position.

    Returns:
        Shape (n,): ``x_out[o] = omega[0] * x_in[o-2] + omega[1] * x_in[o] + omega[2] * x_in[o+2]``, where positions
        beyond the ends count as zero.

    Raises:
        ValueError: if `x_in` is not 1-D or `omega` does not hold 3 numbers.

    Example:
        >>> conv_3_1_2_zp([1, 2, 3, 4], [1, 1, 1])
        array([4., 6., 4., 6.])
    """
    return _conv_1d_zp(x_in, omega, kernel_size=3, stride=1, dilation=2)


def get_conv_mat_3_1_1_zp(n_out: int, omega: ArrayLike) -> Floats:
    """Write the convolution `conv_3_1_1_zp` as a matrix (notebook 10.1, figure 10.4d).

    Args:
        n_out: the length of the signal, and of the result.
        omega: the three weights.

    Returns:
        Shape (n_out, n_out), zero but for three diagonals: ``matrix @ x == conv_3_1_1_zp(x, omega)``.

    Raises:
        ValueError: if `omega` does not hold 3 numbers.

    Example:
        >>> get_conv_mat_3_1_1_zp(4, [1, 2, 3])
        array([[2., 3., 0., 0.],
               [1., 2., 3., 0.],
               [0., 1., 2., 3.],
               [0., 0., 1., 2.]])
    """
    weights = _vector("omega", omega, 3)
    matrix = np.zeros((n_out, n_out))
    for o in range(n_out):
        for k in range(3):
            i = o + k - 1
            if 0 <= i < n_out:
                matrix[o, i] = weights[k]
    return matrix


def two_convolutions_as_one(omega_1: ArrayLike, omega_2: ArrayLike) -> Floats:
    """Return the one kernel that does what two do in turn (the closing question of notebook 10.1).

    Two convolutions of stride 1 and dilation 1 are again a convolution, with a longer kernel. With zero padding that
    is true only away from the ends: the first result is cut off where the signal ends, and the single convolution never
    sees that cut, so the outermost ``len(omega_2) // 2`` positions on each side can differ.

    Args:
        omega_1: the kernel that is applied first, shape (k1,).
        omega_2: the kernel that is applied to the result, shape (k2,).

    Returns:
        Shape (k1 + k2 - 1,).

    Raises:
        ValueError: if one of the kernels is not 1-D.

    Example:
        >>> both = two_convolutions_as_one([1, 1, 1], [1, 1, 1])
        >>> both
        array([1., 2., 3., 2., 1.])
        >>> conv_3_1_1_zp(conv_3_1_1_zp([1, 2, 3, 4], [1, 1, 1]), [1, 1, 1])
        array([ 9., 18., 22., 16.])
        >>> conv_5_1_1_zp([1, 2, 3, 4], both)
        array([10., 18., 22., 20.])
    """
    first, second = _vector("omega_1", omega_1), _vector("omega_2", omega_2)
    both = np.zeros(len(first) + len(second) - 1)
    for i in range(len(first)):
        for j in range(len(second)):
            both[i + j] += first[i] * second[j]
    return both


# Notebook 10.3: convolution in two dimensions


def _conv_2d(
    image: ArrayLike, weights: ArrayLike, stride: int, pad: int, channels: int | None, batch: int | None
) -> Floats:
    image, weights = np.asarray(image, dtype=float), np.asarray(weights, dtype=float)
    if image.ndim != 4 or (batch and image.shape[0] != batch) or (channels and image.shape[1] != channels):
        wanted = f"({batch or 'batch'}, {channels or 'channels_in'}, height, width)"
        raise ValueError(f"Expected `image` to have the shape {wanted}, but got {image.shape}.")
    if weights.ndim != 4 or weights.shape[1] != image.shape[1] or (channels and weights.shape[0] != channels):
        wanted = f"({channels or 'channels_out'}, {image.shape[1]}, kernel_height, kernel_width)"
        raise ValueError(f"Expected `weights` to have the shape {wanted}, but got {weights.shape}.")
    image = np.pad(image, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    batch_size, channels_in, height_in, width_in = image.shape
    channels_out, _, kernel_height, kernel_width = weights.shape
    height_out = 1 + (height_in - kernel_height) // stride
    width_out = 1 + (width_in - kernel_width) // stride
    if height_out < 1 or width_out < 1:
        raise ValueError(
            f"Expected the padded `image` to be at least as large as the kernel {weights.shape[2:]}, but got "
            f"{image.shape[2:]}."
        )
    out = np.zeros((batch_size, channels_out, height_out, width_out))
    for b in range(batch_size):
        for c_out in range(channels_out):
            for y in range(height_out):
                for x in range(width_out):
                    for c_in in range(channels_in):
                        for ky in range(kernel_height):
                            for kx in range(kernel_width):
                                pixel = image[b, c_in, y * stride + ky, x * stride + kx]
                                out[b, c_out, y, x] += weights[c_out, c_in, ky, kx] * pixel
    return out


def conv_numpy_1(image: ArrayLike, weights: ArrayLike, pad: int = 1) -> Floats:
    """Convolve one picture of one channel with one kernel, stride 1 (notebook 10.3, section 10.3, figure 10.9).

    Args:
        image: shape (1, 1, height, width).
        weights: shape (1, 1, kernel_height, kernel_width).
        pad: rows and columns of zeros on each side.

    Returns:
        Shape (1, 1, height + 2 * pad - kernel_height + 1, width + 2 * pad - kernel_width + 1).

    Raises:
        ValueError: if a shape is another, or the kernel is larger than the padded picture.

    Example:
        >>> conv_numpy_1([[[[1, 2], [3, 4]]]], [[[[1, 10], [100, 1000]]]], pad=0)
        array([[[[4321.]]]])
    """
    return _conv_2d(image, weights, 1, pad, channels=1, batch=1)


def conv_numpy_2(image: ArrayLike, weights: ArrayLike, stride: int = 1, pad: int = 1) -> Floats:
    """Convolve one picture of one channel with one kernel and a stride (notebook 10.3, section 10.3).

    Args:
        image: shape (1, 1, height, width).
        weights: shape (1, 1, kernel_height, kernel_width).
        stride: rows and columns from one output to the next.
        pad: rows and columns of zeros on each side.

    Returns:
        Shape (1, 1, floor((height + 2 * pad - kernel_height) / stride) + 1, and the same for the width).

    Raises:
        ValueError: if a shape is another, or the kernel is larger than the padded picture.

    Example:
        >>> conv_numpy_2([[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]], [[[[1]]]], stride=2, pad=0)
        array([[[[1., 3.],
                 [7., 9.]]]])
    """
    return _conv_2d(image, weights, stride, pad, channels=1, batch=1)


def conv_numpy_3(image: ArrayLike, weights: ArrayLike, stride: int = 1, pad: int = 1) -> Floats:
    """Convolve one picture of many channels into many channels (notebook 10.3, section 10.3, figure 10.10).

    Args:
        image: shape (1, channels_in, height, width).
        weights: shape (channels_out, channels_in, kernel_height, kernel_width).
        stride: rows and columns from one output to the next.
        pad: rows and columns of zeros on each side.

    Returns:
        Shape (1, channels_out, floor((height + 2 * pad - kernel_height) / stride) + 1, and the same for the width).

    Raises:
        ValueError: if a shape is another, or the kernel is larger than the padded picture.

    Example:
        >>> conv_numpy_3([[[[1, 2]], [[3, 4]]]], [[[[1]], [[10]]], [[[0]], [[1]]]], pad=0)
        array([[[[31., 42.]],
        <BLANKLINE>
                [[ 3.,  4.]]]])
    """
    return _conv_2d(image, weights, stride, pad, channels=None, batch=1)


def conv_numpy_4(image: ArrayLike, weights: ArrayLike, stride: int = 1, pad: int = 1) -> Floats:
    """Convolve a batch of pictures (notebook 10.3, section 10.3).

    Args:
        image: shape (batch, channels_in, height, width).
        weights: shape (channels_out, channels_in, kernel_height, kernel_width).
        stride: rows and columns from one output to the next.
        pad: rows and columns of zeros on each side.

    Returns:
        Shape (batch, channels_out, floor((height + 2 * pad - kernel_height) / stride) + 1, and the same for the width).

    Raises:
        ValueError: if a shape is another, or the kernel is larger than the padded picture.

    Example:
        >>> conv_numpy_4([[[[1, 2]]], [[[3, 4]]]], [[[[1, 1]]]], pad=0)
        array([[[[3.]]],
        <BLANKLINE>
        <BLANKLINE>
               [[[7.]]]])
    """
    return _conv_2d(image, weights, stride, pad, channels=None, batch=None)


# Notebook 10.4: downsampling and upsampling


def subsample(x_in: ArrayLike) -> Floats:
    """Keep every other row and column, the first included (notebook 10.4, figure 10.11a).

    Args:
        x_in: shape (height, width).

    Returns:
        Shape (ceil(height / 2), ceil(width / 2)).

    Raises:
        ValueError: if `x_in` is not 2-D.

    Example:
        >>> subsample([[1, 3, 5, 3], [6, 2, 0, 8], [4, 6, 1, 4], [2, 8, 0, 3]])
        array([[1., 5.],
               [4., 1.]])
    """
    x = _picture("x_in", x_in)
    x_out = np.zeros((math.ceil(x.shape[0] / 2), math.ceil(x.shape[1] / 2)))
    for row in range(x_out.shape[0]):
        for column in range(x_out.shape[1]):
            x_out[row, column] = x[2 * row, 2 * column]
    return x_out


downsample = subsample  # the notebook uses both words


def maxpool(x_in: ArrayLike) -> Floats:
    """Keep the largest of each 2x2 block (notebook 10.4, figure 10.11b); an odd last row or column is left out.

    Args:
        x_in: shape (height, width).

    Returns:
        Shape (floor(height / 2), floor(width / 2)).

    Raises:
        ValueError: if `x_in` is not 2-D.

    Example:
        >>> maxpool([[1, 3, 5, 3], [6, 2, 0, 8], [4, 6, 1, 4], [2, 8, 0, 3]])
        array([[6., 8.],
               [8., 4.]])
    """
    x = _picture("x_in", x_in)
    x_out = np.zeros((x.shape[0] // 2, x.shape[1] // 2))
    for row in range(x_out.shape[0]):
        for column in range(x_out.shape[1]):
            x_out[row, column] = np.max(x[2 * row : 2 * row + 2, 2 * column : 2 * column + 2])
    return x_out


def meanpool(x_in: ArrayLike) -> Floats:
    """Average each 2x2 block (notebook 10.4, figure 10.11c); an odd last row or column is left out.

    Args:
        x_in: shape (height, width).

    Returns:
        Shape (floor(height / 2), floor(width / 2)).

    Raises:
        ValueError: if `x_in` is not 2-D.

    Example:
        >>> meanpool([[1, 3, 5, 3], [6, 2, 0, 8], [4, 6, 1, 4], [2, 8, 0, 3]])
        array([[3., 4.],
               [5., 2.]])
    """
    x = _picture("x_in", x_in)
    x_out = np.zeros((x.shape[0] // 2, x.shape[1] // 2))
    for row in range(x_out.shape[0]):
        for column in range(x_out.shape[1]):
            x_out[row, column] = np.sum(x[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]) / 4
    return x_out


def duplicate(x_in: ArrayLike) -> Floats:
    """Repeat every element in a 2x2 block (notebook 10.4, figure 10.12a).

    Args:
        x_in: shape (height, width).

    Returns:
        Shape (2 * height, 2 * width).

    Raises:
        ValueError: if `x_in` is not 2-D.

    Example:
        >>> duplicate([[6, 8], [8, 4]])
        array([[6., 6., 8., 8.],
               [6., 6., 8., 8.],
               [8., 8., 4., 4.],
               [8., 8., 4., 4.]])
    """
    x = _picture("x_in", x_in)
    x_out = np.zeros((2 * x.shape[0], 2 * x.shape[1]))
    for row in range(x_out.shape[0]):
        for column in range(x_out.shape[1]):
            x_out[row, column] = x[row // 2, column // 2]
    return x_out


def max_unpool(x_in: ArrayLike, x_high_res: ArrayLike) -> Floats:
    """Put every element where the maximum of its 2x2 block was, zeros elsewhere (notebook 10.4, figure 10.12b).

    Args:
        x_in: shape (height, width).
        x_high_res: the picture that shows where the maxima were, at least (2 * height, 2 * width). Of equal maxima the
            first in row order is taken.

    Returns:
        Shape (2 * height, 2 * width).

    Raises:
        ValueError: if one of them is not 2-D, or `x_high_res` is too small.

    Example:
        >>> max_unpool([[6, 8], [8, 4]], [[1, 3, 5, 3], [6, 2, 0, 8], [4, 6, 1, 4], [2, 8, 0, 3]])
        array([[0., 0., 0., 0.],
               [6., 0., 0., 8.],
               [0., 0., 0., 4.],
               [0., 8., 0., 0.]])
    """
    x, high = _picture("x_in", x_in), _picture("x_high_res", x_high_res)
    x_out = np.zeros((2 * x.shape[0], 2 * x.shape[1]))
    if high.shape[0] < x_out.shape[0] or high.shape[1] < x_out.shape[1]:
        raise ValueError(
            f"Expected `x_high_res` to be at least of shape {x_out.shape}, twice `x_in`, but got {high.shape}."
        )
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            best_row, best_column = 2 * row, 2 * column
            for r in range(2 * row, 2 * row + 2):
                for c in range(2 * column, 2 * column + 2):
                    if high[r, c] > high[best_row, best_column]:
                        best_row, best_column = r, c
            x_out[best_row, best_column] = x[row, column]
    return x_out


def bilinear(x_in: ArrayLike) -> Floats:
    """Double height and width by bilinear interpolation (notebook 10.4, figure 10.12c).

    Output position (row, column) reads the input at (row / 2, column / 2): between two elements it takes their mean,
    between four the mean of the four. The neighbour of the last row and column lies off the picture and counts as zero;
    the neighbour's index is the position rounded up, the values are not rounded.

    Args:
        x_in: shape (height, width).

    Returns:
        Shape (2 * height, 2 * width).

    Raises:
        ValueError: if `x_in` is not 2-D.

    Example:
        >>> bilinear([[6, 8], [8, 4]])
        array([[6. , 7. , 8. , 4. ],
               [7. , 6.5, 6. , 3. ],
               [8. , 6. , 4. , 2. ],
               [4. , 3. , 2. , 1. ]])
    """
    x = _picture("x_in", x_in)
    padded = np.zeros((x.shape[0] + 1, x.shape[1] + 1))
    padded[: x.shape[0], : x.shape[1]] = x
    x_out = np.zeros((2 * x.shape[0], 2 * x.shape[1]))
    for row in range(x_out.shape[0]):
        for column in range(x_out.shape[1]):
            top, bottom = math.floor(row / 2), math.ceil(row / 2)
            left, right = math.floor(column / 2), math.ceil(column / 2)
            four = padded[top, left] + padded[top, right] + padded[bottom, left] + padded[bottom, right]
            x_out[row, column] = four / 4
    return x_out


# The same in N dimensions, with the options of torch.nn.functional


def _tuple(value: Ints, n: int) -> tuple[int, ...]:
    """Return one number an axis."""
    return (value,) * n if isinstance(value, int) else tuple(value) * (n if len(value) == 1 else 1)


def _numbers(x: ArrayLike) -> Array:
    """Return `x` in double precision."""
    array = np.asarray(x)
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)


def _inside(position: Sequence[int], shape: Sequence[int]) -> bool:
    return all(0 <= p < size for p, size in zip(position, shape, strict=True))


def _at(o: Sequence[int], k: Sequence[int], stride: Ints, padding: Ints, dilation: Ints) -> tuple[int, ...]:
    """Return the input position that kernel tap `k` of output position `o` reads, axis by axis."""
    n = len(o)
    s, p, d = _tuple(stride, n), _tuple(padding, n), _tuple(dilation, n)
    return tuple(o[a] * s[a] - p[a] + k[a] * d[a] for a in range(n))


def _pooled_shape(
    shape: Sequence[int], kernel: Sequence[int], stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> tuple[int, ...]:
    n = len(shape)
    s, p, d = _tuple(stride, n), _tuple(padding, n), _tuple(dilation, n)
    out = []
    for a in range(n):
        room = shape[a] + 2 * p[a] - d[a] * (kernel[a] - 1) - 1
        size = (math.ceil(room / s[a]) if ceil_mode else math.floor(room / s[a])) + 1
        if ceil_mode and (size - 1) * s[a] >= shape[a] + p[a]:
            size -= 1  # the last window would start in the padding on the right
        out.append(size)
    return tuple(out)


def conv(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Convolve (section 10.2.1, equation 10.1; in deep learning's sense: the kernel is not mirrored).

    ``out[b, c, o] = bias[c] + sum over i, k of weight[c, i, k] * x[b, i, o * stride - padding + k * dilation]``, where
    positions outside `x` count as zero and i runs over the channels of c's group.

    Args:
        x: shape (batch, channels_in, *spatial).
        weight: shape (channels_out, channels_in / groups, *kernel).
        bias: shape (channels_out,).
        stride: step from one output position to the next.
        padding: number of zeros before and behind.
        dilation: step from one kernel tap to the next.
        groups: number of blocks into which the channels are divided.

    Returns:
        Shape (batch, channels_out, *spatial_out), spatial_out = floor((spatial + 2 * padding - dilation * (kernel - 1)
        - 1) / stride) + 1.

    Example:
        >>> conv([[[1, 2, 3]]], [[[1, 10]]], bias=[0.5])
        array([[[21.5, 32.5]]])
    """
    x, weight = _numbers(x), _numbers(weight)
    kernel, group_in, group_out = weight.shape[2:], weight.shape[1], weight.shape[0] // groups
    sizes = _pooled_shape(x.shape[2:], kernel, stride, padding, dilation, ceil_mode=False)
    out = np.zeros((x.shape[0], weight.shape[0], *sizes), dtype=np.result_type(x, weight))
    for b, c, *o in np.ndindex(*out.shape):
        first = (c // group_out) * group_in
        for i, *k in np.ndindex(*weight.shape[1:]):
            position = _at(o, k, stride, padding, dilation)
            if _inside(position, x.shape[2:]):
                out[b, c, *o] += weight[c, i, *k] * x[b, first + i, *position]
        if bias is not None:
            out[b, c, *o] += _numbers(bias)[c]
    return out


def conv_transpose(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """Spread every input element with the kernel: the transpose of the matrix of `conv` (section 10.4.2, figure 10.13).

    ``out[b, c, o * stride - padding + k * dilation] += weight[i, c, k] * x[b, i, o]`` for every o, k and i; what falls
    outside is dropped.

    Args:
        x: shape (batch, channels_in, *spatial).
        weight: shape (channels_in, channels_out / groups, *kernel).
        bias: shape (channels_out,).
        stride: step in the output from one input element to the next.
        padding: number of elements cut off before and behind.
        output_padding: number of elements added behind.
        groups: number of blocks into which the channels are divided.
        dilation: step from one kernel tap to the next.

    Returns:
        Shape (batch, channels_out, *spatial_out), spatial_out = (spatial - 1) * stride - 2 * padding + dilation *
        (kernel - 1) + output_padding + 1.

    Example:
        >>> conv_transpose([[[1, 2]]], [[[1, 10, 100]]], stride=2)
        array([[[  1.,  10., 102.,  20., 200.]]])
    """
    x, weight = _numbers(x), _numbers(weight)
    n, kernel = x.ndim - 2, weight.shape[2:]
    group_in, group_out = x.shape[1] // groups, weight.shape[1]
    s, p, extra, d = (_tuple(v, n) for v in (stride, padding, output_padding, dilation))
    sizes = [(x.shape[2 + a] - 1) * s[a] - 2 * p[a] + d[a] * (kernel[a] - 1) + extra[a] + 1 for a in range(n)]
    out = np.zeros((x.shape[0], group_out * groups, *sizes), dtype=np.result_type(x, weight))
    for b, i, *o in np.ndindex(*x.shape):
        first = (i // group_in) * group_out
        for c, *k in np.ndindex(*weight.shape[1:]):
            position = _at(o, k, stride, padding, dilation)
            if _inside(position, sizes):
                out[b, first + c, *position] += weight[i, c, *k] * x[b, i, *o]
    if bias is not None:
        for c in range(out.shape[1]):
            out[:, c] += _numbers(bias)[c]
    return out


def max_pool(
    x: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> tuple[Array, NDArray[np.int64]]:
    """Take the largest element of every window, and say where it was (section 10.4.1, figure 10.11b).

    Of equal maxima the first in row order is taken; a NaN is larger than everything, and of several NaNs the last is
    taken. Positions outside `x` never win.

    Args:
        x: shape (batch, channels, *spatial).
        kernel_size: size of the window.
        stride: step from one window to the next; `kernel_size` if not given.
        padding: number of positions before and behind that windows may reach into.
        dilation: step from one element of the window to the next.
        ceil_mode: also use a window that reaches beyond the end, if it starts inside.

    Returns:
        Values and indices, both of shape (batch, channels, *spatial_out). An index counts the elements of one channel
        in row order.

    Example:
        >>> max_pool([[[1, 3, 2, 2]]], 2)
        (array([[[3., 2.]]]), array([[[1, 2]]]))
    """
    x = _numbers(x)
    spatial, n = x.shape[2:], x.ndim - 2
    kernel = _tuple(kernel_size, n)
    stride = kernel if stride is None else stride
    sizes = _pooled_shape(spatial, kernel, stride, padding, dilation, ceil_mode)
    values = np.full((*x.shape[:2], *sizes), -np.inf)
    indices = np.zeros(values.shape, dtype=np.int64)
    for b, c, *o in np.ndindex(*values.shape):
        found = False
        for k in np.ndindex(*kernel):
            position = _at(o, k, stride, padding, dilation)
            if _inside(position, spatial):
                value = x[b, c, *position]
                if not found or value > values[b, c, *o] or np.isnan(value):
                    values[b, c, *o] = value
                    indices[b, c, *o] = np.ravel_multi_index(position, spatial)
                    found = True
    return values, indices


def avg_pool(
    x: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Take the mean of every window (section 10.4.1, figure 10.11c).

    Args:
        x: shape (batch, channels, *spatial).
        kernel_size: size of the window.
        stride: step from one window to the next; `kernel_size` if not given.
        padding: number of zeros before and behind.
        ceil_mode: also use a window that reaches beyond the end, if it starts inside.
        count_include_pad: count the zeros of the padding in the divisor (what `ceil_mode` adds beyond never counts).
        divisor_override: divide by this number instead.

    Returns:
        Shape (batch, channels, *spatial_out).

    Example:
        >>> avg_pool([[[1, 3, 2, 2]]], 2)
        array([[[2., 2.]]])
    """
    x = _numbers(x)
    spatial, n = x.shape[2:], x.ndim - 2
    kernel, p = _tuple(kernel_size, n), _tuple(padding, n)
    stride = kernel if stride is None else stride
    sizes = _pooled_shape(spatial, kernel, stride, padding, 1, ceil_mode)
    out = np.zeros((*x.shape[:2], *sizes), dtype=x.dtype)
    for b, c, *o in np.ndindex(*out.shape):
        inside = padded = 0
        for k in np.ndindex(*kernel):
            position = _at(o, k, stride, padding, 1)
            if _inside(position, spatial):
                out[b, c, *o] += x[b, c, *position]
                inside += 1
            padded += all(position[a] < spatial[a] + p[a] for a in range(n))
        out[b, c, *o] /= divisor_override or (padded if count_include_pad else inside)
    return out


def _adaptive_window(o: Sequence[int], sizes: Sequence[int], spatial: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the input positions of window `o`: from floor(o * in / out) to ceil((o + 1) * in / out), end excluded."""
    starts = [o[a] * spatial[a] // sizes[a] for a in range(len(o))]
    ends = [-(-(o[a] + 1) * spatial[a] // sizes[a]) for a in range(len(o))]
    return [
        tuple(starts[a] + k[a] for a in range(len(o)))
        for k in np.ndindex(*(end - start for start, end in zip(starts, ends, strict=True)))
    ]


def adaptive_avg_pool(x: ArrayLike, output_size: Ints) -> Array:
    """Divide every axis into `output_size` windows, as equal as can be, and take the mean of each.

    Args:
        x: shape (batch, channels, *spatial).
        output_size: number of windows of each axis.

    Returns:
        Shape (batch, channels, *output_size).

    Example:
        >>> adaptive_avg_pool([[[1, 2, 3]]], 2)
        array([[[1.5, 2.5]]])
    """
    x = _numbers(x)
    sizes = _tuple(output_size, x.ndim - 2)
    out = np.zeros((*x.shape[:2], *sizes), dtype=x.dtype)
    for b, c, *o in np.ndindex(*out.shape):
        window = _adaptive_window(o, sizes, x.shape[2:])
        for position in window:
            out[b, c, *o] += x[b, c, *position] / len(window)
    return out


def adaptive_max_pool(x: ArrayLike, output_size: Ints) -> tuple[Array, NDArray[np.int64]]:
    """Divide every axis into `output_size` windows, as equal as can be, and take the largest element of each.

    Args:
        x: shape (batch, channels, *spatial).
        output_size: number of windows of each axis.

    Returns:
        Values and indices as `max_pool` gives them, both of shape (batch, channels, *output_size).

    Example:
        >>> adaptive_max_pool([[[1, 3, 2]]], 2)
        (array([[[3., 3.]]]), array([[[1, 1]]]))
    """
    x = _numbers(x)
    spatial = x.shape[2:]
    sizes = _tuple(output_size, len(spatial))
    values = np.full((*x.shape[:2], *sizes), -np.inf)
    indices = np.zeros(values.shape, dtype=np.int64)
    for b, c, *o in np.ndindex(*values.shape):
        for number, position in enumerate(_adaptive_window(o, sizes, spatial)):
            value = x[b, c, *position]
            if number == 0 or value > values[b, c, *o] or np.isnan(value):
                values[b, c, *o] = value
                indices[b, c, *o] = np.ravel_multi_index(position, spatial)
    return values, indices


def unpool(x: ArrayLike, indices: ArrayLike, output_size: Ints) -> Array:
    """Put every element where its index says, zeros elsewhere (section 10.4.2, figure 10.12b).

    Args:
        x: shape (batch, channels, *spatial).
        indices: same shape; an index counts the elements of one output channel in row order. Of several elements with
            the same index the last stays.
        output_size: spatial shape of the output.

    Returns:
        Shape (batch, channels, *output_size).

    Example:
        >>> unpool([[[3, 2]]], [[[1, 2]]], 4)
        array([[[0., 3., 2., 0.]]])
    """
    x, where = _numbers(x), np.asarray(indices)
    sizes = _tuple(output_size, x.ndim - 2)
    out = np.zeros((*x.shape[:2], *sizes), dtype=x.dtype)
    for b, c, *i in np.ndindex(*x.shape):
        out[b, c, *np.unravel_index(where[b, c, *i], sizes)] = x[b, c, *i]
    return out


def _cubic(t: float, a: float) -> float:
    """Return Keys' piecewise cubic kernel at distance t."""
    t = abs(t)
    if t < 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    if t < 2:
        return a * (t**3 - 5 * t**2 + 8 * t - 4)
    return 0.0


def _taps(mode: str, o: int, size_in: int, size_out: int, scale: float, align: bool) -> list[tuple[int, float]]:
    """Return which input positions output position `o` reads along one axis, each with its weight."""

    def clamp(i: int) -> int:
        return min(max(i, 0), size_in - 1)

    if mode == "nearest":
        return [(clamp(math.floor(o * scale)), 1.0)]
    if mode == "nearest-exact":
        return [(clamp(math.floor((o + 0.5) * scale)), 1.0)]
    if mode == "area":
        window = range(o * size_in // size_out, -(-(o + 1) * size_in // size_out))
        return [(i, 1 / len(window)) for i in window]
    centre = o * scale if align else (o + 0.5) * scale - 0.5
    if mode == "cubic":
        first = math.floor(centre)
        return [(clamp(first + k), _cubic(first + k - centre, a=-0.75)) for k in range(-1, 3)]
    centre = max(centre, 0.0)
    first = min(math.floor(centre), size_in - 1)
    return [(first, 1 - (centre - first)), (clamp(first + 1), centre - first)]


def _antialias_taps(mode: str, o: int, size_in: int, scale: float, align: bool) -> list[tuple[int, float]]:
    """Return the taps of a filter that is widened with the scale, so that shrinking averages."""
    stretch = max(scale, 1.0)
    support = (1 if mode == "linear" else 2) * stretch
    centre = scale * (o + 0.5)
    first, last = max(math.floor(centre - support + 0.5), 0), min(math.floor(centre + support + 0.5), size_in)
    taps = []
    for i in range(first, last):
        t = (i + 0.5 - centre) / stretch
        taps.append((i, max(1 - abs(t), 0.0) if mode == "linear" else _cubic(t, a=-0.5)))
    total = sum(weight for _, weight in taps)
    return [(i, weight / total) for i, weight in taps]


def interpolate(
    x: ArrayLike,
    size: Ints | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool = False,
    recompute_scale_factor: bool = False,
    antialias: bool = False,
) -> Array:
    """Resample every axis (section 10.4.2, figure 10.12).

    Along one axis, output position o reads the input at ``(o + 1/2) * scale - 1/2`` (or at ``o * scale`` if the corners
    are aligned), scale being input size over output size (or one over `scale_factor`; (in - 1) / (out - 1) if the
    corners are aligned): "linear" takes the two neighbours, "cubic" four (Keys, a = -3/4), "nearest" the element at
    floor(o * scale), "nearest-exact" at floor((o + 1/2) * scale), "area" the mean of an adaptive window. Several axes
    multiply their weights.

    Args:
        x: shape (batch, channels, *spatial).
        size: spatial shape of the output; this or `scale_factor`.
        scale_factor: output size over input size, rounded down to whole positions.
        mode: "nearest", "nearest-exact", "linear", "cubic" or "area", whatever the number of axes.
        align_corners: let the first and last positions of input and output coincide.
        recompute_scale_factor: use the ratio of the sizes instead of `scale_factor`.
        antialias: widen the linear or cubic filter when shrinking.

    Returns:
        Shape (batch, channels, *size).

    Example:
        >>> interpolate([[[0, 4]]], size=4, mode="linear")
        array([[[0., 1., 3., 4.]]])
    """
    x = _numbers(x)
    spatial, n = x.shape[2:], x.ndim - 2
    if (size is None) == (scale_factor is None):
        raise ValueError("Expected `size` or `scale_factor`, one of the two.")
    factors = None
    if scale_factor is not None:
        factors = (scale_factor,) * n if isinstance(scale_factor, int | float) else tuple(scale_factor)
        sizes = tuple(math.floor(spatial[a] * factors[a]) for a in range(n))
    else:
        assert size is not None
        sizes = _tuple(size, n)
    if recompute_scale_factor:
        factors = None
    taps = []
    for a in range(n):
        if align_corners and mode in ("linear", "cubic"):
            scale = (spatial[a] - 1) / (sizes[a] - 1) if sizes[a] > 1 else 0.0
        else:
            scale = spatial[a] / sizes[a] if factors is None else 1 / factors[a]
        if antialias:
            taps.append([_antialias_taps(mode, o, spatial[a], scale, align_corners) for o in range(sizes[a])])
        else:
            taps.append([_taps(mode, o, spatial[a], sizes[a], scale, align_corners) for o in range(sizes[a])])
    return _weighted(x, sizes, taps)


def _weighted(x: Array, sizes: Sequence[int], taps: list[list[list[tuple[int, float]]]]) -> Array:
    """Return the weighted sums of `x` that `taps[axis][output position]` asks for."""
    n = len(sizes)
    out = np.zeros((*x.shape[:2], *sizes), dtype=x.dtype)
    for b, c, *o in np.ndindex(*out.shape):
        mine = [taps[a][o[a]] for a in range(n)]
        for k in np.ndindex(*(len(axis) for axis in mine)):
            position = tuple(mine[a][k[a]][0] for a in range(n))
            weight = math.prod(mine[a][k[a]][1] for a in range(n))
            out[b, c, *o] += weight * x[b, c, *position]
    return out


def upsample_zeros(x: ArrayLike, factor: Ints = 2) -> Array:
    """Enlarge linearly as `bilinear` does, in N dimensions and by any whole factor (notebook 10.4).

    Output position o reads the input at o / factor; what lies behind the last element counts as zero.

    Args:
        x: shape (batch, channels, *spatial).
        factor: output size over input size.

    Returns:
        Shape (batch, channels, *spatial * factor).

    Example:
        >>> upsample_zeros([[[6, 8]]], 2)
        array([[[6., 7., 8., 4.]]])
    """
    x = _numbers(x)
    n = x.ndim - 2
    f = _tuple(factor, n)
    sizes = [x.shape[2 + a] * f[a] for a in range(n)]
    padded = np.pad(x, [(0, 0), (0, 0)] + [(0, 1)] * n)
    taps = [
        [[(o // f[a], 1 - o % f[a] / f[a]), (o // f[a] + 1, o % f[a] / f[a])] for o in range(sizes[a])]
        for a in range(n)
    ]
    return _weighted(padded, sizes, taps)


def unfold(x: ArrayLike, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1) -> Array:
    """Write every window as a column (the matrix form of a convolution, notebook 10.1).

    Args:
        x: shape (batch, channels, *spatial).
        kernel_size: size of the window.
        dilation: step from one element of the window to the next.
        padding: number of zeros before and behind.
        stride: step from one window to the next.

    Returns:
        Shape (batch, channels * prod(kernel_size), windows).

    Example:
        >>> unfold([[[1, 2, 3]]], 2)
        array([[[1., 2.],
                [2., 3.]]])
    """
    x = _numbers(x)
    spatial = x.shape[2:]
    kernel = _tuple(kernel_size, len(spatial))
    sizes = _pooled_shape(spatial, kernel, stride, padding, dilation, ceil_mode=False)
    out = np.zeros((*x.shape[:2], math.prod(kernel), math.prod(sizes)), dtype=x.dtype)
    for b, c in np.ndindex(*x.shape[:2]):
        for window, o in enumerate(np.ndindex(*sizes)):
            for element, k in enumerate(np.ndindex(*kernel)):
                position = _at(o, k, stride, padding, dilation)
                if _inside(position, spatial):
                    out[b, c, element, window] = x[b, c, *position]
    return out.reshape(x.shape[0], x.shape[1] * math.prod(kernel), math.prod(sizes))


def fold(
    x: ArrayLike, output_size: Ints, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1
) -> Array:
    """Add columns back at the places that `unfold` took them from: its transpose.

    Args:
        x: shape (batch, channels * prod(kernel_size), windows).
        output_size: spatial shape of the output; a sequence, its length is the number of axes.
        kernel_size: size of the window.
        dilation: step from one element of the window to the next.
        padding: number of zeros that `unfold` put before and behind.
        stride: step from one window to the next.

    Returns:
        Shape (batch, channels, *output_size).

    Example:
        >>> fold([[[1, 2], [2, 3]]], [3], 2)
        array([[[1., 4., 3.]]])
    """
    x = _numbers(x)
    spatial = (output_size,) if isinstance(output_size, int) else tuple(output_size)
    kernel = _tuple(kernel_size, len(spatial))
    sizes = _pooled_shape(spatial, kernel, stride, padding, dilation, ceil_mode=False)
    columns = x.reshape(x.shape[0], x.shape[1] // math.prod(kernel), math.prod(kernel), x.shape[2])
    out = np.zeros((*columns.shape[:2], *spatial), dtype=x.dtype)
    for b, c in np.ndindex(*columns.shape[:2]):
        for window, o in enumerate(np.ndindex(*sizes)):
            for element, k in enumerate(np.ndindex(*kernel)):
                position = _at(o, k, stride, padding, dilation)
                if _inside(position, spatial):
                    out[b, c, *position] += columns[b, c, element, window]
    return out
