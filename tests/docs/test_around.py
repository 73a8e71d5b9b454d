"""What stands around the pages: the site's extensions, the citation, the hooks, the issue forms."""

import doctest
import importlib.util
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_docstrings_become_restructured_text() -> None:
    spec = importlib.util.spec_from_file_location("prose", ROOT / "docs" / "extensions" / "prose.py")
    assert spec is not None
    assert spec.loader is not None
    prose = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prose)
    assert doctest.testmod(prose).failed == 0
    lines = [
        "Title.",
        "",
        "| a | b |",
        "|---|---|",
        "| 1 | *x |",
        "",
        "Args:",
        "    x: (N, *size).",
        "",
        "        more",
    ]
    assert prose.restructured(lines) == [
        *("Title.", "", ".. list-table::", "   :header-rows: 1", "", "   * - a", "     - b", "   * - 1"),
        *(r"     - \*x", "", "Args:", r"    x: (N, \*size).", "", "        more", ""),
    ]


def test_citation_has_the_packages_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_hooks_are_the_tools_of_make_lint() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    entries = [hook["entry"] for repository in hooks["repos"] for hook in repository["hooks"]]
    lint = (ROOT / "Makefile").read_text(encoding="utf-8")
    for tool in ("ruff check", "ruff format", "mypy"):
        assert f"$(BIN)/{tool}" in lint
        assert any(entry.startswith(f".venv/bin/{tool}") for entry in entries)


def test_issue_forms_ask_something() -> None:
    forms = [path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
    assert len(forms) >= 2
    for path in forms:
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= form.keys()
        assert len({field["id"] for field in form["body"]}) == len(form["body"])
