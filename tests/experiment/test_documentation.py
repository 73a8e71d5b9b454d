"""The tables of docs/experiment.md are those of the committed results."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = sorted((DOCS / "results").glob("*.json"))


def test_the_page_s_tables_are_those_of_the_results():
    spec = importlib.util.spec_from_file_location("fill_experiment", DOCS / "fill_experiment.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = script.PAGE.read_text()
    assert len(script._TABLE.findall(page)) >= 3
    assert script.filled(page) == page, "run `python docs/fill_experiment.py`"


def test_the_page_s_pictures_are_there():
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", (DOCS / "experiment.md").read_text())
    assert pictures
    assert all((DOCS / picture).is_file() for picture in pictures)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_rows_say_how_they_were_made(path: Path):
    for row in json.loads(path.read_text()):
        assert row["command"].startswith("lightconv fit --config ")
        assert len(row["seeds"]) == len(row["accuracy"]) == len({*row["seeds"]}) > 0
        assert all(0 <= accuracy <= 1 for accuracy in row["accuracy"])
        assert {"lightconv", "torch", "python", "threads"} <= row["versions"].keys()
