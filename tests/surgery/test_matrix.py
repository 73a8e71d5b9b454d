"""The matrix of a convolution: against the layer, against the notebook, in every layout, and without a matrix."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor
from torch.autograd import gradcheck

from lightconv import conv_matrix, reference
from lightconv.surgery import ConvOperator

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same'"),
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support"),
]

Case = tuple[Tensor, tuple[int, ...], dict[str, Any]]


@st.composite
def cases(draw: DrawFn) -> Case:
    n = draw(st.sampled_from((1, 1, 2, 2, 3)))
    groups = draw(st.sampled_from((1, 1, 2, 3)))
    kernel = tuple(draw(st.integers(1, 4 if n < 3 else 2)) for _ in range(n))
    padding: Any = draw(st.sampled_from(("same", "valid", 0, 1, 2)))
    if padding == 2:
        padding = tuple(draw(st.integers(0, 3)) for _ in range(n))
    dilation = tuple(draw(st.integers(1, 3)) for _ in range(n))
    stride = 1 if padding == "same" else tuple(draw(st.integers(1, 3)) for _ in range(n))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    size = [e + draw(st.integers(0, 4 if n < 3 else 2)) for e in spans]
    inputs = draw(st.integers(1, 2))
    torch.manual_seed(draw(st.integers(0, 99)))
    weight = torch.randn(draw(st.integers(1, 2)) * groups, inputs, *kernel, dtype=torch.float64)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return weight, (inputs * groups, *size), options


def convolve(x: Tensor, weight: Tensor, options: dict[str, Any]) -> Tensor:
    return getattr(F, f"conv{weight.dim() - 2}d")(x, weight, **options)


def holds(case: Case) -> None:
    weight, shape, options = case
    operator, x = ConvOperator(weight, shape, **options), torch.randn(3, *shape, dtype=torch.float64)
    expected = convolve(x, weight, options)
    assert operator.output_shape == expected.shape[1:]
    sparse = conv_matrix(weight, shape, **options)
    assert sparse.layout is torch.sparse_coo
    assert sparse.is_coalesced()
    assert sparse.shape == operator.shape == (expected[0].numel(), x[0].numel())
    torch.testing.assert_close(sparse @ x[0].flatten(), expected[0].flatten())
    checked = torch.sparse_coo_tensor(sparse.indices(), sparse.values(), sparse.shape, check_invariants=True)
    dense = checked.coalesce().to_dense()
    assert torch.equal(dense, conv_matrix(weight, shape, **options, layout=torch.strided))
    for layout in (torch.sparse_csr, torch.sparse_csc):
        other = conv_matrix(weight, shape, **options, layout=layout)
        assert other.layout is layout
        assert torch.equal(other.to_dense(), dense)
    flat = x.flatten(1)
    torch.testing.assert_close(operator @ flat.T, expected.flatten(1).T)
    torch.testing.assert_close(operator @ flat[0], expected[0].flatten())
    y = torch.randn(operator.shape[0], 2, dtype=torch.float64)
    torch.testing.assert_close(operator.adjoint(y), dense.T @ y)


@settings(max_examples=100)
@given(cases())
def test_it_computes_the_convolution(case: Case) -> None:
    holds(case)


@pytest.mark.long
@settings(max_examples=3000, derandomize=False)
@given(cases())
def test_it_computes_many_convolutions(case: Case) -> None:
    holds(case)


def test_the_matrix_of_the_notebook() -> None:
    omega = np.array([-1.0, 0.5, 0.2])
    expected = reference.get_conv_mat_3_1_1_zp(6, omega)
    matrix = conv_matrix(torch.tensor(omega).reshape(1, 1, 3), (1, 6), padding=1, layout=torch.strided)
    np.testing.assert_allclose(matrix.numpy(), expected)


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.strided])
def test_entries_are_differentiable(layout: torch.layout) -> None:
    weight = torch.randn(2, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    x = torch.randn(3 * 4 * 2, 1, dtype=torch.float64)

    def applied(weight: Tensor) -> Tensor:
        return conv_matrix(weight, (2, 3, 4), padding=1, stride=2, groups=2, layout=layout) @ x

    assert gradcheck(applied, (weight,))


def test_the_operator_is_differentiable_both_ways() -> None:
    weight = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    operator = ConvOperator(weight, (2, 7), stride=2)
    x, y = (torch.randn(n, dtype=torch.float64, requires_grad=True) for n in (14, 6))
    assert gradcheck(lambda x, w: ConvOperator(w, (2, 7), stride=2) @ x, (x, weight))
    assert gradcheck(lambda y, w: ConvOperator(w, (2, 7), stride=2).adjoint(y), (y, weight))
    torch.testing.assert_close((operator @ x) @ y, x @ operator.adjoint(y))


@pytest.mark.parametrize("dtype", [torch.complex128, torch.float32, torch.float16, torch.bfloat16])
def test_other_dtypes(dtype: torch.dtype) -> None:
    weight, x = torch.randn(2, 2, 3).to(dtype), torch.randn(2, 9).to(dtype)
    operator = ConvOperator(weight, (2, 9), padding=2, dilation=2)
    matrix = operator.matrix(torch.strided)
    assert matrix.dtype == dtype
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if dtype.itemsize == 2 else {}
    torch.testing.assert_close(operator @ x.flatten(), matrix @ x.flatten(), **tolerance)
    torch.testing.assert_close(operator.adjoint(x.flatten()), matrix.mH @ x.flatten(), **tolerance)


def test_scipy_on_request() -> None:
    weight = torch.randn(3, 1, 3, 2, dtype=torch.complex128)
    dense = conv_matrix(weight, (3, 6, 5), padding=1, groups=3, layout=torch.strided).numpy()
    matrix = conv_matrix(weight, (3, 6, 5), padding=1, groups=3, layout="scipy")
    assert isinstance(matrix, scipy.sparse.csr_array)
    assert matrix.has_canonical_format
    np.testing.assert_array_equal(matrix.toarray(), dense)
    operator = ConvOperator(weight, (3, 6, 5), padding=1, groups=3).linear_operator()
    x, y = np.random.default_rng(0).normal(size=(2, dense.shape[1])), np.ones(dense.shape[0])
    np.testing.assert_allclose(operator @ x[0], dense @ x[0])
    np.testing.assert_allclose(operator @ x.T, dense @ x.T)
    np.testing.assert_allclose(operator.H @ y, dense.conj().T @ y)
    with pytest.raises(TypeError, match=r"a dtype that NumPy has, but got torch\.bfloat16"):
        conv_matrix(torch.ones(1, 1, 1, dtype=torch.bfloat16), (1, 4), layout="scipy")


def test_scipy_solves_with_the_operator() -> None:
    from scipy.sparse.linalg import lsqr

    weight = torch.randn(4, 1, 5, dtype=torch.float64)
    operator = ConvOperator(weight, (1, 30), padding=2)
    x = torch.randn(30, dtype=torch.float64)
    solution = lsqr(operator.linear_operator(), (operator @ x).numpy(), atol=1e-12, btol=1e-12)[0]
    np.testing.assert_allclose(solution, x.numpy(), atol=1e-8)


def test_a_large_matrix_stays_sparse() -> None:
    weight = torch.randn(8, 4, 3, 3)
    matrix = conv_matrix(weight, (4, 64, 64), padding=1)
    assert matrix.shape == (8 * 64**2, 4 * 64**2)
    # at the border one row or column of three is missing at each end
    assert matrix._nnz() == 8 * 4 * (3 * 64 - 2) ** 2
    x = torch.randn(1, 4, 64, 64)
    torch.testing.assert_close(matrix @ x.flatten(), F.conv2d(x, weight, padding=1).flatten(), rtol=1e-4, atol=1e-4)


WEIGHT = torch.ones(2, 1, 3)
REFUSED = [
    ({"input_shape": (1, 2)}, RuntimeError, r"spans \(3,\), but got \(1, 2\)"),
    ({"input_shape": (2, 5)}, RuntimeError, r"\(1, and 1 spatial sizes\)"),
    ({"input_shape": (5,)}, RuntimeError, r"`input_shape`"),
    ({"input_shape": (1, 5.0)}, TypeError, r"`input_shape`"),
    ({"stride": 0}, RuntimeError, "`stride`"),
    ({"padding": "full"}, RuntimeError, "'full'"),
    ({"padding": "same", "stride": 2}, RuntimeError, "stride 1"),
    ({"groups": 4}, RuntimeError, "multiple of groups=4"),
    ({"weight": torch.ones(3)}, RuntimeError, r"\(C_out, C_in / groups, \*kernel\)"),
    ({"weight": [1.0]}, TypeError, "`weight` to be a tensor"),
    ({"layout": "dense"}, ValueError, "torch.strided, torch.sparse_coo"),
]


@pytest.mark.parametrize(("changes", "kind", "words"), REFUSED)
def test_refusals(changes: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        conv_matrix(**{"weight": WEIGHT, "input_shape": (1, 5), **changes})


def test_vectors_that_do_not_fit() -> None:
    operator = ConvOperator(WEIGHT, (1, 5))
    with pytest.raises(RuntimeError, match=r"shape \(5,\) or \(5, k\), one column a flattened \(1, 5\)"):
        operator @ torch.ones(1, 1, 5)
    with pytest.raises(RuntimeError, match=r"shape \(6,\)"):
        operator.adjoint(torch.ones(5))
    with pytest.raises(RuntimeError, match=r"torch\.float32 as `weight` is"):
        operator @ torch.ones(5).double()
    assert repr(operator) == "ConvOperator((1, 5) -> (2, 3))"
