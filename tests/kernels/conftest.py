"""Every test here runs once for each instruction set that this CPU and the compiler know."""

from collections.abc import Iterator

import pytest

import lightconv
from lightconv.kernels.library import ADDED_TO, ENVIRONMENT, VARIANTS, Function, Library, functions


def _found() -> list[str]:
    found = []
    for variant in VARIANTS:
        try:
            found.append(Library(variant=variant).variant)
        except OSError:
            continue
    # a variant that has all functions of another stands for it
    return [name for name in found if name not in {ADDED_TO[more] for more in found if more in ADDED_TO}]


@pytest.fixture(params=_found() or [None])
def variant(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The instruction set in use, under backend "native"."""
    if request.param is None:
        pytest.skip("there are no compiled kernels: python lightconv/kernels/build.py says why")
    monkeypatch.setenv(ENVIRONMENT, request.param)
    functions.cache_clear()
    with lightconv.backend("native"):
        yield request.param
    functions.cache_clear()


@pytest.fixture
def ran(variant: str) -> Iterator[list[str]]:
    """Names of the library's functions as they are called."""
    names: list[str] = []
    table = dict(functions())
    for name, function in table.items():

        def call(*args: object, name: str = name, function: Function = function) -> object:
            names.append(name)
            return function(*args)

        functions()[name] = call
    yield names
    functions().update(table)
