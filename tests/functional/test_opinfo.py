"""Torch's own samples of its operators, run over our functions: values, gradients, dtypes and bad input.

`torch.testing._internal` is private: where it cannot be imported, these tests are skipped, and the tables in
`tests/cases` stand alone.
"""

import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from contract import (
    DTYPES,
    TOLERANCE,
    Subject,
    agree,
    as_good,
    attempt,
    floating,
    kind,
    quiet,
    random_like,
    same,
    sentence,
)
from torch import Tensor
from torch.autograd import gradcheck
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
except Exception as reason:
    pytest.skip(f"torch's operator samples cannot be imported: {reason}", allow_module_level=True)

NAMES = [
    *(f"{name}{n}d" for name in ("conv", "conv_transpose", "max_pool", "avg_pool", "max_unpool") for n in (1, 2, 3)),
    *(f"adaptive_{name}_pool{n}d" for name in ("avg", "max") for n in (1, 2, 3)),
    "interpolate",
    "unfold",
    "fold",
]
OPERATORS = {
    f"{op.name.rpartition('.')[2]}{'-' if op.variant_test_name else ''}{op.variant_test_name}": op
    for op in op_db
    if op.name.startswith("nn.functional.") and op.name.rpartition(".")[2] in NAMES
}
EXACT = ("max_pool", "max_unpool", "adaptive_max", "interpolate-nearest", "unfold")
SOME = 40  # samples of an operator in the fast run; max_pool has 1,440

operators = pytest.mark.parametrize("label", OPERATORS)


def ours(subject: Subject, label: str) -> Callable[..., Any]:
    name = label.partition("-")[0]
    found = getattr(subject.functional, name, None)
    if subject.name != "torch" and (found is None or found is getattr(F, name)):
        pytest.skip(f"{subject.name}.functional.{name} does not exist yet")
    return found


def theirs(label: str) -> Callable[..., Any]:
    return getattr(F, label.partition("-")[0])


def samples(label: str, dtype: torch.dtype, many: int | None) -> Iterator[Any]:
    """Draw the samples, every so-manieth if there are too many."""
    torch.manual_seed(0)
    with quiet():
        drawn = list(OPERATORS[label].sample_inputs("cpu", dtype, requires_grad=False))
    step = 1 if many is None else max(1, -(-len(drawn) // many))
    return iter(drawn[::step])


def with_gradient(function: Callable[..., Any], sample: Any) -> tuple[Any, tuple[Tensor, ...]]:
    """Return the result, and the gradients of a fixed random sum of it for every floating argument."""
    leaves: list[Tensor] = []

    def leaf(tensor: Tensor) -> Tensor:
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return tensor
        leaves.append(tensor.detach().clone().requires_grad_())
        return leaves[-1]

    input, args, kwargs = tree_map_only(Tensor, leaf, (sample.input, sample.args, sample.kwargs))
    result = function(input, *args, **kwargs)
    first = [r for r in floating(result) if r.requires_grad]
    return result, torch.autograd.grad(first, leaves, [random_like(r) for r in first], allow_unused=True)


def compare(subject: Subject, label: str, dtype: torch.dtype, many: int | None) -> None:
    function, truth = ours(subject, label), theirs(label)
    for sample in samples(label, dtype, many):
        what = f"{sample.summary() if hasattr(sample, 'summary') else sample}"
        with quiet():
            result, expected, error = agree(
                lambda s=sample: function(s.input, *s.args, **s.kwargs),
                lambda s=sample: truth(s.input, *s.args, **s.kwargs),
                what,
            )
            if error is not None:
                continue
            if dtype in (torch.float64, torch.float32, torch.complex64, torch.complex128):
                same(result, expected, tolerance=0.0 if label.startswith(EXACT) else None, what=what)
                (_, gradients), (_, correct) = with_gradient(function, sample), with_gradient(truth, sample)
                for mine, yours in zip(gradients, correct, strict=True):
                    assert (mine is None) == (yours is None), what
                same(*(tuple(g for g in gs if g is not None) for gs in (gradients, correct)), what=f"gradient, {what}")
            else:
                exact = exactly(truth, sample) if dtype in TOLERANCE else expected
                as_good(result, expected, exact, what)


def exactly(truth: Callable[..., Any], sample: Any) -> Any:
    """The result in double precision."""
    wide = torch.complex128 if sample.input.is_complex() else torch.float64
    input, args, kwargs = tree_map_only(
        Tensor,
        lambda t: t.to(wide) if t.is_floating_point() or t.is_complex() else t,
        (sample.input, sample.args, sample.kwargs),
    )
    return truth(input, *args, **kwargs)


@operators
def test_samples(subject: Subject, label: str) -> None:
    compare(subject, label, torch.float64, SOME)


@pytest.mark.long
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@operators
def test_all_samples(subject: Subject, label: str, dtype: torch.dtype) -> None:
    if dtype not in OPERATORS[label].dtypes:
        pytest.skip(f"torch has no {dtype} for it")
    compare(subject, label, dtype, None)


@operators
def test_the_dtypes_that_torch_lists(subject: Subject, label: str) -> None:
    """Each is accepted as torch accepts it; every other is refused, in a sentence."""
    function, truth = ours(subject, label), theirs(label)
    for dtype in DTYPES:
        with quiet():
            listed = dtype in OPERATORS[label].dtypes
            drawn = OPERATORS[label].sample_inputs("cpu", dtype if listed else torch.float64)
            some = [sample.transform(lambda t, to=dtype: cast(t, to)) for sample in islice(drawn, 3)]
        for sample in some:
            if not sample.input.numel():
                continue  # torch does not look at the dtype of nothing
            result, expected, error = agree(
                lambda s=sample: function(s.input, *s.args, **s.kwargs),
                lambda s=sample: truth(s.input, *s.args, **s.kwargs),
                f"{dtype}, {sample}",
            )
            if error is None:
                as_good(result, expected, expected if dtype not in TOLERANCE else exactly(truth, sample), str(dtype))
            elif subject.name != "torch":
                sentence(error, None)


def cast(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


@operators
def test_bad_input(subject: Subject, label: str) -> None:
    function = ours(subject, label)
    with quiet():
        bad = [] if OPERATORS[label].error_inputs_func is None else list(OPERATORS[label].error_inputs("cpu"))
    if not bad:
        pytest.skip("torch has no bad samples for it")
    for error_input in bad:
        sample = error_input.sample_input
        _, expected = attempt(lambda s=sample: theirs(label)(s.input, *s.args, **s.kwargs))
        assert expected is not None, sample
        _, error = attempt(lambda s=sample: function(s.input, *s.args, **s.kwargs))
        assert error is not None, f"accepted, but torch raises {expected!r}: {sample}"
        assert isinstance(error, (*kind(expected), type(expected))), f"{error!r}, but torch raises {expected!r}"
        if subject.name != "torch":
            sentence(error, None)


@pytest.mark.long
@operators
def test_derivatives_numerically(subject: Subject, label: str) -> None:
    """Backward, forward and batched derivatives of torch's samples."""
    function = ours(subject, label)
    for sample in samples(label, torch.float64, SOME):
        flat, spec = tree_flatten((sample.input, sample.args, sample.kwargs))
        places = [n for n, a in enumerate(flat) if isinstance(a, Tensor) and a.is_floating_point()]
        if any(flat[n].numel() == 0 or flat[n].numel() > 200 for n in places):
            continue
        if label.startswith("max_unpool") and not label.endswith("grad"):
            continue  # windows overlap, indices repeat: no derivative

        def of_the_floats(*floats: Tensor, flat: list[Any] = flat, places: list[int] = places, spec: Any = spec) -> Any:
            full = list(flat)
            for place, value in zip(places, floats, strict=True):
                full[place] = value
            input, args, kwargs = tree_unflatten(full, spec)
            return floating(function(input, *args, **kwargs))

        leaves = [flat[n].detach().clone().requires_grad_() for n in places]
        with quiet():
            assert gradcheck(
                of_the_floats,
                leaves,
                check_forward_ad=True,
                check_batched_grad=subject.name != "torch",
                fast_mode=True,
            )


@pytest.mark.long
@operators
def test_samples_in_other_layouts(subject: Subject, label: str) -> None:
    """Torch's samples, not contiguous."""
    function, truth = ours(subject, label), theirs(label)
    for sample in samples(label, torch.float64, SOME):
        other = sample.noncontiguous()
        result = function(other.input, *other.args, **other.kwargs)
        same(result, truth(sample.input, *sample.args, **sample.kwargs), what=str(sample))
