"""The tables of docs/experiment.md are those of the committed results."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = sorted((DOCS / "results").glob("*.json"))


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fill_experiment", DOCS / "fill_experiment.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_the_page_s_tables_are_those_of_the_results(script: ModuleType):
    page = script.PAGE.read_text()
    assert len(script._TABLE.findall(page)) >= 3
    assert script.filled(page) == page, "run `python docs/fill_experiment.py`"


def test_the_page_s_pictures_are_there_and_can_be_drawn_anew(script: ModuleType):
    page = script.PAGE.read_text()
    files = re.findall(r"!\[.*?\]\((.*?)\)", page)
    drawn = script._PICTURE.findall(page)
    assert [file for *_, file in drawn] == files
    assert all((DOCS / file).is_file() for file in files)
    for name, part, kind, _ in drawn:
        assert kind in script._KINDS
        assert script._rows(name, part)
        assert part in [one.name for one in script._parts(name)]


def test_rows_are_taken_in_the_configuration_s_order(script: ModuleType, tmp_path: Path):
    script.DOCS = tmp_path
    rows = json.loads((DOCS / "results" / "mnist100.json").read_text())
    for folder, some in (("one", rows[1:]), ("two", [{**rows[1], "seeds": [9]}, rows[0]])):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rows.json").write_text(json.dumps(some))
        script.take(tmp_path / folder)
    taken = json.loads((tmp_path / "results" / "mnist100.json").read_text())
    assert taken == [rows[0], {**rows[1], "seeds": [9]}, *rows[2:]]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_rows_say_how_they_were_made(path: Path):
    for row in json.loads(path.read_text()):
        assert row["command"].startswith("lightconv fit --config ")
        assert len(row["seeds"]) == len(row["accuracy"]) == len({*row["seeds"]}) > 0
        assert all(0 <= accuracy <= 1 for accuracy in row["accuracy"])
        assert {"lightconv", "torch", "python", "threads"} <= row["versions"].keys()
