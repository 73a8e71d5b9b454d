"""Put the tables and the plot that `make bench` has written into the documentation.

python benchmarks/page.py [runs/benchmarks]
"""

import argparse
import shutil
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PICTURE = PAGE.parent / "pictures" / "benchmarks.png"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def filled(page: str, tables: str) -> str:
    """`page` with `tables` between its marks."""
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n\n{tables.strip()}\n\n{END}{after}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("runs/benchmarks"))
    folder = parser.parse_args().folder
    tables = folder / "benchmarks.md"
    if not tables.exists():
        parser.error(f"Expected tables in {tables}, but there are none; run `make bench` first.")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), tables.read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copyfile(folder / "benchmarks.png", PICTURE)
    print(f"{PAGE} and {PICTURE}")
