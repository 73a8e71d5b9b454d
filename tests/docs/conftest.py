"""The scripts beside the pages, as modules."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import matplotlib
import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def script(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The script that the test's mark names."""
    name = request.param
    before, path, backend = set(sys.modules), list(sys.path), matplotlib.get_backend()
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path
    for helper in {"practice", "drawing"} - before:
        sys.modules.pop(helper, None)
    matplotlib.use(backend)
