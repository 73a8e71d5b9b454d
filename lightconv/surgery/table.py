"""Rows of text and numbers as aligned lines."""

from collections.abc import Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Lines of a table: text to the left, numbers to the right with thousands marked.

    >>> print("\\n".join(table(("layer", "number"), [("Conv2d", 1200)])))
    layer   number
    Conv2d   1,200
    """
    cells = [[f"{v:,}" if isinstance(v, int) else str(v) for v in row] for row in rows]
    right = [all(not isinstance(row[i], str) for row in rows) for i in range(len(head))]
    width = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    lines = []
    for row in [list(head), *cells]:
        parts = [v.rjust(w) if r else v.ljust(w) for v, w, r in zip(row, width, right, strict=True)]
        lines.append("  ".join(parts).rstrip())
    return lines
