"""Docstrings are written for people: formulas are indented, tables and emphasis are Markdown's. Here they become
what Sphinx reads, reStructuredText.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SECTION = re.compile(r"(Args|Attributes|Example|Examples|Note|Raises|Returns|Yields|Warns):$")
RESULT = re.compile(r"(Returns|Yields):$")
STARRED = re.compile(r"(`+)[^`]*\1|\*[A-Z][^*]*[^\s*]\*|\*")  # code, emphasis (a title), a star that means itself


def indentation(line: str) -> int:
    """How many spaces a line begins with."""
    return len(line) - len(line.lstrip())


def paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """The lines between blank ones."""
    paragraph: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []


def stars(prose: str) -> str:
    """Prose with the stars escaped that are no emphasis: those of shapes such as (N, C, *size).

    >>> stars("of shape (N, C, *size), see *Understanding Deep Learning* and `a * b`")
    'of shape (N, C, \\\\*size), see *Understanding Deep Learning* and `a * b`'
    """
    return STARRED.sub(lambda match: "\\*" if match[0] == "*" else match[0], prose)


def table(rows: list[str]) -> list[str]:
    """A table of Markdown as reStructuredText has it."""
    cells = [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in (rows[0], *rows[2:])]
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in cells:
        lines += [f"   {'  -' if column else '* -'} {stars(cell)}" for column, cell in enumerate(row)]
    return lines


def restructured(lines: list[str]) -> list[str]:
    """A whole docstring, as reStructuredText with Google's sections.

    >>> restructured(["Sum.", "", "    y = a * b", "", "Returns:", "    (N, *size)."])
    ['Sum.', '', '::', '', '    y = a * b', '', ':returns:', '    (N, \\\\*size).', '']
    """
    result: list[str] = []
    section = in_list = False
    for paragraph in paragraphs(lines):
        first = paragraph[0]
        if not indentation(first):
            section, in_list = bool(SECTION.match(first)), first.startswith(("- ", "1. "))
        if first.lstrip().startswith(">>>"):
            result += paragraph
        elif first.startswith("|"):
            result += table(paragraph)
        elif indentation(first) >= 4 and not section and not in_list:
            result += ["::", "", *paragraph] if not _literal(result) else paragraph
        else:
            result += stars("\n".join([RESULT.sub(":returns:", first), *paragraph[1:]])).split("\n")
        result.append("")
    return result


def _literal(result: list[str]) -> bool:
    """Whether the last paragraph was literal too."""
    before = next((line for line in reversed(result) if line), "")
    return indentation(before) >= 4 and "::" in result


def process(app: "Sphinx", what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Before napoleon reads the sections."""
    lines[:] = restructured(lines)


def setup(app: "Sphinx") -> dict[str, bool]:
    """Register it ahead of napoleon."""
    app.connect("autodoc-process-docstring", process, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
