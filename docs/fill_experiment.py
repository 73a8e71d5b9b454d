"""Fill the tables of experiment.md from the rows in results/: each stands below a comment that names its columns.

    python docs/fill_experiment.py

The rows are a report's rows.json, of all its parts.
"""

import json
import re
from pathlib import Path

from lightconv.experiment.rows import Row
from lightconv.experiment.tables import table

DOCS = Path(__file__).parent
PAGE = DOCS / "experiment.md"
_PLACE = re.compile(r"(<!-- table (\w+) (\w+): (.*?) -->\n)(?:\|.*\n)*")


def filled(text: str) -> str:
    """The page with its tables as the rows have them."""
    return _PLACE.sub(lambda place: f"{place[1]}{_table(place[2], place[3], place[4].split(', '))}\n", text)


def _table(name: str, part: str, columns: list[str]) -> str:
    rows = [Row(**row) for row in json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))]
    return table([row for row in rows if row.part == part], columns).markdown()


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
