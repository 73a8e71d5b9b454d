"""A convolution as the matrix that it is.

With the input flattened to a vector, a convolution is a matrix with few entries other than zero: row (c, o) holds the
weights of output channel c at the columns of the elements that window o reads (*Understanding Deep Learning*, section
10.2, figure 10.4; notebook 10.1).
"""

from typing import Any

import torch
from torch import Tensor

from lightconv.functional.convolution import conv, conv_transpose
from lightconv.functional.geometry import (
    Sizes,
    conv_output_size,
    conv_pads,
    conv_transpose_output_size,
    numel,
    show,
    to_groups,
    to_sizes,
    window_span,
)

__all__ = ["ConvOperator", "conv_matrix"]

_LAYOUTS = {
    "torch.strided": torch.strided,
    "torch.sparse_coo": torch.sparse_coo,
    "torch.sparse_csr": torch.sparse_csr,
    "torch.sparse_csc": torch.sparse_csc,
    "'scipy'": "scipy",
}


class ConvOperator:
    """A convolution (without bias) of inputs of one size as a linear map, without its matrix.

        operator @ x             conv(x), x and the result flattened
        operator.adjoint(y)      the transposed (for complex weights conjugated) matrix times y

    Vectors have shape (columns,) and (rows,); a matrix is taken column by column. Both directions are differentiable.

    Args:
        weight: (C_out, C_in / groups, *kernel), one to three spatial axes.
        input_shape: (C_in, *size) of the inputs.
        stride: steps from one window to the next.
        padding: zeros at both ends of each axis, or "same" or "valid".
        dilation: steps between the elements of a window.
        groups: channels are divided into this many groups that do not see each other.

    Raises:
        RuntimeError: for shapes or numbers that do not fit together.

    >>> operator = ConvOperator(torch.tensor([[[1.0, 2.0, 3.0]]]), (1, 4), padding=1)
    >>> operator.shape
    (4, 4)
    >>> operator @ torch.tensor([1.0, 0.0, 0.0, 0.0])
    tensor([2., 1., 0., 0.])
    >>> operator.adjoint(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    tensor([2., 3., 0., 0.])
    """

    def __init__(
        self,
        weight: Tensor,
        input_shape: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> None:
        if not isinstance(weight, Tensor):
            raise TypeError(f"Expected `weight` to be a tensor, but got {show(weight)}.")
        axes = weight.dim() - 2
        if axes < 1 or numel(weight.shape) == 0:
            raise RuntimeError(
                f"Expected `weight` to have shape (C_out, C_in / groups, *kernel), none of them 0, "
                f"but got {tuple(weight.shape)}."
            )
        self.weight = weight
        self.groups = to_groups(groups)
        self._kernel = tuple(weight.shape[2:])
        if weight.shape[0] % self.groups:
            raise RuntimeError(
                f"Expected dimension 0 of `weight` to be a multiple of groups={self.groups}, "
                f"but got shape {tuple(weight.shape)}."
            )
        sizes = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else (input_shape,)
        if len(sizes) != axes + 1 or sizes[0] != weight.shape[1] * self.groups:
            raise RuntimeError(
                f"Expected `input_shape` to be ({weight.shape[1] * self.groups}, and {axes} spatial sizes) for weight "
                f"{tuple(weight.shape)} and groups={self.groups}, but got {show(input_shape)}."
            )
        self.stride = to_sizes(stride, axes, "stride", least=1)
        self.dilation = to_sizes(dilation, axes, "dilation", least=1)
        self.pads = conv_pads(padding, self._kernel, self.stride, self.dilation)
        self.input_shape = to_sizes(sizes, axes + 1, "input_shape", least=1)
        out = conv_output_size(self.input_shape[1:], self._kernel, self.stride, self.pads, self.dilation)
        if any(n < 1 for n in out):
            raise RuntimeError(
                f"Expected `input_shape` with padding to hold the dilated kernel, which spans "
                f"{show(window_span(self._kernel, self.dilation))}, but got {show(self.input_shape)}."
            )
        self.output_shape: Sizes = (weight.shape[0], *out)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns): elements of an output and of an input."""
        return numel(self.output_shape), numel(self.input_shape)

    def __repr__(self) -> str:
        return f"ConvOperator({self.input_shape} -> {self.output_shape})"

    def __matmul__(self, x: Tensor) -> Tensor:
        return self.forward(x)

    def forward(self, x: Tensor) -> Tensor:
        """The matrix times x: (columns,) to (rows,), or (columns, k) to (rows, k)."""
        geometry = (self.stride, self.pads, self.dilation, self.groups)
        return self._apply(x, self.input_shape, lambda batch: conv(batch, self.weight, None, *geometry))

    def adjoint(self, y: Tensor) -> Tensor:
        """The transposed, conjugated matrix times y: (rows,) to (columns,), or (rows, k) to (columns, k)."""
        geometry = (self.stride, self.pads, self.dilation)
        least = conv_transpose_output_size(self.output_shape[1:], self._kernel, *geometry, (0,) * len(self.stride))
        rest = tuple(n - m for n, m in zip(self.input_shape[1:], least, strict=True))
        weight = self.weight.conj().resolve_conj()
        transposed = lambda batch: conv_transpose(batch, weight, None, *geometry, self.groups, rest)  # noqa: E731
        return self._apply(y, self.output_shape, transposed)

    def _apply(self, vectors: Tensor, shape: Sizes, function: Any) -> Tensor:
        if not isinstance(vectors, Tensor) or vectors.dim() not in (1, 2) or vectors.shape[0] != numel(shape):
            raise RuntimeError(
                f"Expected a tensor of shape ({numel(shape)},) or ({numel(shape)}, k), one column a flattened "
                f"{shape}, but got {show(vectors)}."
            )
        if vectors.dtype != self.weight.dtype:
            raise RuntimeError(f"Expected a tensor of {self.weight.dtype} as `weight` is, but got {vectors.dtype}.")
        columns = vectors.reshape(vectors.shape[0], -1)
        result = function(columns.T.reshape(-1, *shape).contiguous()).flatten(1).T
        return result.reshape(-1, *vectors.shape[1:])

    def matrix(self, layout: Any = torch.sparse_coo) -> Any:
        """The matrix itself, as `conv_matrix` gives it."""
        if layout not in _LAYOUTS.values():
            raise ValueError(f"Expected `layout` to be one of {', '.join(_LAYOUTS)}, but got {show(layout)}.")
        rows, columns, taps = self._entries()
        values = self.weight.reshape(-1)[taps]
        if layout == "scipy":
            return self._scipy(rows, columns, values)
        indices = torch.stack([rows, columns])
        sparse = torch.sparse_coo_tensor(indices, values, self.shape, is_coalesced=True, check_invariants=False)
        if layout is torch.strided:
            return sparse.to_dense()
        if layout is torch.sparse_csr:
            return sparse.to_sparse_csr()
        return sparse if layout is torch.sparse_coo else sparse.to_sparse_csc()

    def linear_operator(self) -> Any:
        """The same as a scipy.sparse.linalg.LinearOperator, for scipy's solvers (without gradients)."""
        from scipy.sparse.linalg import LinearOperator

        dtype = _numpy_dtype(self.weight)

        def over(function: Any) -> Any:
            def apply(array: Any) -> Any:
                with torch.no_grad():
                    x = torch.as_tensor(array, dtype=self.weight.dtype, device=self.weight.device)
                    return function(x).cpu().resolve_conj().numpy()

            return apply

        forward, adjoint = over(self.forward), over(self.adjoint)
        return LinearOperator(self.shape, forward, adjoint, forward, dtype, adjoint)

    def _scipy(self, rows: Tensor, columns: Tensor, values: Tensor) -> Any:
        from scipy.sparse import csr_array

        _numpy_dtype(self.weight)
        entries = values.detach().cpu().resolve_conj().numpy()
        matrix = csr_array((entries, (rows.cpu().numpy(), columns.cpu().numpy())), shape=self.shape)
        matrix.sort_indices()
        return matrix

    def _entries(self) -> tuple[Tensor, Tensor, Tensor]:
        """Row, column and place in the flattened weights of every entry, row by row."""
        device = self.weight.device
        channels, kernel = self.weight.shape[1], numel(self._kernel)
        outputs, size, out = self.output_shape[0], self.input_shape[1:], self.output_shape[1:]
        # place[o, t]: the element that window o reads by tap t, and whether it lies within the input
        place = torch.zeros((1, 1), dtype=torch.int64, device=device)
        inside = torch.ones((1, 1), dtype=torch.bool, device=device)
        for n, m, k, s, low, d in zip(size, out, self._kernel, self.stride, self.pads, self.dilation, strict=False):
            read = torch.arange(m, device=device)[:, None] * s + torch.arange(k, device=device) * d - low
            place = _outer(place * n, read, torch.add)
            inside = _outer(inside, (read >= 0) & (read < n), torch.logical_and)
        group = torch.arange(outputs, device=device) // (outputs // self.groups)
        channel = group[:, None] * channels + torch.arange(channels, device=device)
        shape = (outputs, numel(out), channels, kernel)
        columns = channel[:, None, :, None] * numel(size) + place[None, :, None, :]
        rows = torch.arange(outputs * numel(out), device=device).reshape(outputs, numel(out), 1, 1)
        taps = torch.arange(self.weight.numel(), device=device).reshape(outputs, 1, channels, kernel)
        keep = inside[None, :, None, :].expand(shape)
        return rows.expand(shape)[keep], columns[keep], taps.expand(shape)[keep]


def _outer(a: Tensor, b: Tensor, combine: Any) -> Tensor:
    """`combine` of every entry of one matrix with every one of the other, both of their axes in row order."""
    both = combine(a[:, None, :, None], b[None, :, None, :])
    return both.reshape(a.shape[0] * b.shape[0], a.shape[1] * b.shape[1])


def _numpy_dtype(weight: Tensor) -> Any:
    try:
        return weight.new_empty(0, device="cpu").detach().numpy().dtype
    except TypeError:
        raise TypeError(f"Expected `weight` of a dtype that NumPy has, but got {weight.dtype}.") from None


def conv_matrix(
    weight: Tensor,
    input_shape: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: Any = torch.sparse_coo,
) -> Any:
    """The matrix of a convolution: `conv_matrix(weight, x.shape) @ x.flatten()` equals `conv(x).flatten()`.

    Row (c, o) and column (i, p), both flattened in row order, hold weight[c, i, t] where the window o reads the
    element p by the tap t, that is p = stride * o + dilation * t - padding. Its transpose is the matrix of the
    transposed convolution. The entries are differentiable functions of the weights.

    Source: *Understanding Deep Learning*, section 10.2, figure 10.4; `get_conv_mat_3_1_1_zp` of notebook 10.1.

    Args:
        weight: (C_out, C_in / groups, *kernel), one to three spatial axes.
        input_shape: (C_in, *size) of the input, without a batch.
        stride: steps from one window to the next.
        padding: zeros at both ends of each axis, or "same" or "valid".
        dilation: steps between the elements of a window.
        groups: channels are divided into this many groups that do not see each other.
        layout: `torch.sparse_coo` (the default), `torch.sparse_csr`, `torch.sparse_csc`, `torch.strided` for a dense
            matrix, or "scipy" for a `scipy.sparse.csr_array`.

    Returns:
        (C_out * out, C_in * size). `lightconv.surgery.ConvOperator` is the same map without a matrix.

    Raises:
        RuntimeError: for shapes or numbers that do not fit together.
        ValueError: for another layout.

    >>> conv_matrix(torch.tensor([[[1.0, 2.0, 3.0]]]), (1, 4), padding=1, layout=torch.strided)
    tensor([[2., 3., 0., 0.],
            [1., 2., 3., 0.],
            [0., 1., 2., 3.],
            [0., 0., 1., 2.]])
    """
    return ConvOperator(weight, input_shape, stride, padding, dilation, groups).matrix(layout)
