"""The report's tables: what is in which column, and as Markdown."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lightconv.experiment.conclusions import base_of, points
from lightconv.experiment.rows import Row

_SHOWN_EPOCHS = 5


@dataclass(frozen=True)
class Table:
    """Texts by row and column.

    Attributes:
        heads: of the columns.
        cells: rows of texts.
        numbers: whether a column holds numbers, and so stands to the right.
        common: what is alike in all rows and has no column, by its head.
    """

    heads: list[str]
    cells: list[list[str]]
    numbers: list[bool]
    common: dict[str, str] = field(default_factory=dict)

    def markdown(self) -> str:
        """The table in Markdown."""
        lines = [self.heads, ["---:" if number else "---" for number in self.numbers], *self.cells]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table(rows: Sequence[Row], columns: Sequence[str] = (), against: str | None = None) -> Table:
    """The table of some rows.

    Args:
        rows: of one part.
        columns: the heads of the columns to keep, in this order; by default all that differ from row to row. One
            that has nothing to say is left out.
        against: the row that the others are compared with.
    """
    followed = {"val": "held-out loss", "train": "training loss"}[rows[0].followed]
    if mixed := len({row.followed for row in rows}) > 1:
        followed = "loss (held-out, * training)"
    lengths = {len(row.losses) for row in rows}
    epochs = ", ".join(str(epoch + 1) for epoch in _shown(max(lengths)))
    after = f"after epoch {epochs}" if len(lengths) == 1 else "from the first epoch to the last"
    makers: dict[str, Callable[[Row], str]] = {
        "network": lambda row: row.name,
        "trained on": lambda row: f"{row.samples['train']:,}",
        "seeds": lambda row: str(len(row.seeds)),
        "parameters": lambda row: f"{row.parameters:,}",
        "multiply-adds": lambda row: f"{row.cost['multiply_adds']:,}" if row.cost else "",
        "ONNX bytes": lambda row: f"{row.cost['onnx_bytes']:,}" if row.cost else "",
        "test %": lambda row: mean_and_range(row.accuracy),
        f"points against {against}": lambda row: points(row, base) if (base := base_of(row, rows, against)) else "",
        "fresh %": lambda row: mean_and_range(row.fresh) if row.fresh else "",
        f"{followed} {after}": lambda row: _losses(row) + " *" * (mixed and row.followed == "train"),
        "processor s": lambda row: f"{statistics.fmean(row.processor_seconds):,.0f}",
        "onnxruntime µs": lambda row: f"{row.cost['microseconds']:,.0f}" if row.cost else "",
    }
    if columns:
        makers = {head: maker for name in columns for head, maker in makers.items() if head.startswith(name)}
    filled = {head: [maker(row) for row in rows] for head, maker in makers.items()}
    filled = {head: cells for head, cells in filled.items() if any(cells)}
    common = {} if columns or len(rows) == 1 else {h: cells[0] for h, cells in filled.items() if len({*cells}) == 1}
    filled = {head: cells for head, cells in filled.items() if head not in common}
    return Table(
        heads=list(filled),
        cells=[list(cells) for cells in zip(*filled.values(), strict=True)],
        numbers=[head != "network" for head in filled],
        common=common,
    )


def mean_and_range(shares: Sequence[float]) -> str:
    """Shares from 0 to 1 in per cent.

    >>> mean_and_range([0.98, 0.985, 0.99])
    '98.50 (98.00 to 99.00)'
    """
    mean = f"{100 * statistics.fmean(shares):.2f}"
    return mean if len(shares) == 1 else f"{mean} ({100 * min(shares):.2f} to {100 * max(shares):.2f})"


def _losses(row: Row) -> str:
    return " ".join(f"{row.losses[epoch]:#.3g}".rstrip(".") for epoch in _shown(len(row.losses)))


def _shown(epochs: int) -> list[int]:
    """All epochs if they are few, else the first, the last, and some between."""
    if epochs <= _SHOWN_EPOCHS:
        return list(range(epochs))
    return [round(i * (epochs - 1) / (_SHOWN_EPOCHS - 1)) for i in range(_SHOWN_EPOCHS)]
