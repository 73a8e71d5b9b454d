"""Every function goes through every check of the contract tester, driven by the tables in `tests/cases`."""

from collections.abc import Callable, Iterator
from typing import Any

import contract
import pytest
from cases import OPERATIONS
from contract import Subject

# Few, so that the fast run stays fast; the long run takes all.
EVERY_CASE = [
    contract.check_values,
    contract.check_inference,
    contract.check_gradients,
    contract.check_second_derivatives,
    contract.check_materials,
    contract.check_meta,
    contract.check_determinism,
    contract.check_workspace,
]
A_FEW_CASES = [
    contract.check_numerically,
    contract.check_dtypes,
    contract.check_autocast,
    contract.check_layouts,
    contract.check_fake,
    contract.check_views,
    contract.check_surroundings,
    contract.check_overrides,
    contract.check_materials_inside,
    contract.check_export,
    contract.check_vmap,
    contract.check_functorch,
]


def with_cases(slow: bool = False) -> Callable[[Any], Any]:
    """Parametrise by operation and case; of the slow checks the fast run takes the first cases only."""

    def rows() -> Iterator[Any]:
        for operation in OPERATIONS:
            for number, (name, case) in enumerate(operation.cases.items()):
                marks = [pytest.mark.long] if slow and number >= operation.few else []
                yield pytest.param(operation, case, id=f"{operation.id}-{name}", marks=marks)

    return pytest.mark.parametrize(("operation", "case"), list(rows()))


def named(checks: list[Any]) -> Any:
    return pytest.mark.parametrize("check", checks, ids=lambda check: check.__name__.removeprefix("check_"))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_signature(subject: Subject, operation: contract.Operation) -> None:
    contract.check_signature(subject, operation)


@named(EVERY_CASE)
@with_cases()
def test_every_case(
    subject: Subject, operation: contract.Operation, case: contract.Call, check: Callable[..., None]
) -> None:
    check(subject, operation, case)


@named(A_FEW_CASES)
@with_cases(slow=True)
def test_a_few_cases(
    subject: Subject, operation: contract.Operation, case: contract.Call, check: Callable[..., None]
) -> None:
    check(subject, operation, case)


def compilations() -> Iterator[Any]:
    for operation in OPERATIONS:
        for number, (name, case) in enumerate(operation.cases.items()):
            for dynamic in (False, True):
                long = number > 0 or operation.n != (2 if dynamic else 3)
                marks = [pytest.mark.long] if long else []
                how = "dynamic" if dynamic else "static"
                yield pytest.param(operation, case, dynamic, id=f"{operation.id}-{name}-{how}", marks=marks)


@pytest.mark.parametrize(("operation", "case", "dynamic"), list(compilations()))
def test_compile(subject: Subject, operation: contract.Operation, case: contract.Call, dynamic: bool) -> None:
    contract.check_compile(subject, operation, case, dynamic)


@pytest.mark.long
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_compile_with_inductor(subject: Subject, operation: contract.Operation, dynamic: bool) -> None:
    case = next(iter(operation.cases.values()))
    contract.check_compile(subject, operation, case, dynamic, backend="inductor")


@pytest.mark.long
@with_cases()
def test_numerically_element_by_element(subject: Subject, operation: contract.Operation, case: contract.Call) -> None:
    contract.check_numerically(subject, operation, case, thorough=True)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_memory(subject: Subject, operation: contract.Operation) -> None:
    contract.check_memory(subject, operation)


def backends() -> Iterator[Any]:
    for operation in OPERATIONS:
        for number, (name, case) in enumerate(operation.cases.items()):
            for backend in ("definition", "native", "aten"):
                marks = [pytest.mark.long] if backend == "aten" and number >= operation.few else []
                yield pytest.param(operation, case, backend, id=f"{operation.id}-{name}-{backend}", marks=marks)


@pytest.mark.parametrize(("operation", "case", "backend"), list(backends()))
def test_backends_agree(subject: Subject, operation: contract.Operation, case: contract.Call, backend: str) -> None:
    contract.check_backend(subject, operation, case, backend)


@pytest.mark.parametrize(
    ("operation", "bad", "argument"),
    [
        pytest.param(operation, bad, argument, id=f"{operation.id}-{name}")
        for operation in OPERATIONS
        for name, (bad, argument) in operation.errors.items()
    ],
)
def test_errors(subject: Subject, operation: contract.Operation, bad: contract.Call, argument: str | None) -> None:
    contract.check_error(subject, operation, bad, argument)
