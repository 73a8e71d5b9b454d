"""Fill the tables and draw the pictures of experiment.md from the rows in results/.

    python docs/fill_experiment.py
    python docs/fill_experiment.py runs/experiment_mnist1d     # takes the rows of that experiment first

Each table stands below a comment that names its results, its part and its columns; each picture below one that names
its results, its part and its kind. The rows are those of the rows.json that `lightconv experiment` writes, in the
order of the shipped configuration.
"""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from lightconv.experiment import pictures
from lightconv.experiment.plan import Part, read_plan
from lightconv.experiment.results import write_json
from lightconv.experiment.rows import Row
from lightconv.experiment.tables import table

DOCS = Path(__file__).parent
PAGE = DOCS / "experiment.md"
_TABLE = re.compile(r"(<!-- table (\w+) ([\w-]+): (.*?) -->\n)(?:\|.*\n)*")
_PICTURE = re.compile(r"<!-- picture (\w+) ([\w-]+): (\w+) -->\n!\[.*?\]\((.*?)\)")
_KINDS = {
    "sweep": lambda rows, part: pictures.sweep(rows),
    "seen": lambda rows, part: pictures.seen(rows),
    "curves": lambda rows, part: pictures.curves(rows),
    "accuracy": lambda rows, part: pictures.dots(rows, part.references),
    "parameters": lambda rows, part: pictures.scatter(rows, part.references),
}


def filled(text: str) -> str:
    """The page with its tables as the rows have them."""
    return _TABLE.sub(
        lambda place: f"{place[1]}{table(_rows(place[2], place[3]), place[4].split(', ')).markdown()}\n", text
    )


def draw(text: str) -> None:
    """Draw the page's pictures anew."""
    for name, part, kind, file in _PICTURE.findall(text):
        planned = next(one for one in _parts(name) if one.name == part)
        (DOCS / file).write_bytes(_KINDS[kind](_rows(name, part), planned))


def take(folder: Path) -> None:
    """Put an experiment's rows among those in results/, in place of earlier ones of the same runs."""
    new = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    name = new[0]["task"]
    path = DOCS / "results" / f"{name}.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    rows = {(row["part"], row["name"]): row for row in (*old, *new)}
    planned = [(part.name, run.name) for part in _parts(name) for run in part.runs]
    write_json(path, [rows[run] for run in planned if run in rows])


def _rows(name: str, part: str) -> list[Row]:
    rows: Iterable[dict] = json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
    found = [Row(**row) for row in rows if row["part"] == part]
    if not found:
        raise SystemExit(f"Expected rows of part {part!r} in results/{name}.json, but there are none.")
    return found


def _parts(name: str) -> tuple[Part, ...]:
    return read_plan(f"experiment_{name}").parts


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        take(Path(folder))
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw(PAGE.read_text(encoding="utf-8"))
