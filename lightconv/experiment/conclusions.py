"""What a part's figures say, in sentences: who is ahead, which network to use, who was stopped too early or late."""

import math
from collections.abc import Iterator, Sequence

from lightconv.experiment.rows import Row

_CHANGE = 0.1  # of a loss, between two epochs: what is worth saying


def conclusions(rows: Sequence[Row], against: str | None = None) -> list[str]:
    """Sentences about the rows of a part, the most important first.

    One row is ahead of another if its worst seed is better than the other's best, and the means differ by more than
    two standard errors of what so many test samples show.

    Args:
        rows: of one part.
        against: name of the row that the others are compared with, at the same level where there are levels.
    """
    bases = [row for row in rows if row.row == against]
    swept = len({row.level for row in rows}) > 1
    sentences = [*_smallest(rows, bases)]
    if bases:
        sentences += _by_level(rows, bases[0].row) if swept else _ranked(rows, bases[0])
    return [*sentences, *_stopped(rows)]


def base_of(row: Row, rows: Sequence[Row], against: str | None) -> Row | None:
    """The row that a row is compared with: another one of that name, at the same level."""
    same = (other for other in rows if other.row == against and other.level == row.level and other is not row)
    return next(same, None)


def front(rows: Sequence[Row]) -> list[Row]:
    """The rows that no other one equals with as few parameters, the smallest first; none in a sweep over samples."""
    if len({row.samples["train"] for row in rows}) > 1:
        return []
    chosen: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.parameters, -row.mean)):
        if not chosen or row.mean > chosen[-1].mean:
            chosen.append(row)
    return chosen


def _ahead(row: Row, other: Row) -> bool:
    chance = math.sqrt(sum(one.mean * (1 - one.mean) / one.samples["test"] for one in (row, other)))
    return min(row.accuracy) > max(other.accuracy) and row.mean > other.mean + 2 * chance


def _smallest(rows: Sequence[Row], bases: Sequence[Row]) -> Iterator[str]:
    best = front(rows)
    if len(best) < 2:
        return
    if len(bases) == 1:
        base = bases[0]
        smaller = [row for row in best if row.parameters < base.parameters and _ahead(row, base)]
        if smaller:
            row = smaller[0]
            yield (f"The smallest network that is ahead of {base.name} ({_size(base)}): {row.name} ({_size(row)}).")
    listed = _listed([f"{row.name} ({_size(row)})" for row in best])
    yield f"Those to choose from, for none is as good with as few parameters: {listed}."


def _ranked(rows: Sequence[Row], base: Row) -> Iterator[str]:
    others = sorted((row for row in rows if row is not base), key=lambda row: -row.mean)
    for side, found in _sides([(row, base, row.name) for row in others]):
        yield f"{side} {base.name} ({_percent(base.mean)}): {found}."


def _by_level(rows: Sequence[Row], name: str) -> Iterator[str]:
    for row_name in dict.fromkeys(row.row for row in rows if row.row != name):
        pairs = [
            (row, base, str(row.level)) for row in rows if row.row == row_name and (base := base_of(row, rows, name))
        ]
        if pairs:
            sides = (f"{side.removesuffix(' of').removesuffix(' from')}: {found}." for side, found in _sides(pairs))
            yield f"{row_name} against {name}. {' '.join(sides)}"


def _sides(pairs: Sequence[tuple[Row, Row, str]]) -> Iterator[tuple[str, str]]:
    sides: dict[str, list[str]] = {"Ahead of": [], "Not to be told apart from": [], "Behind": []}
    for row, base, name in pairs:
        side = "Ahead of" if _ahead(row, base) else "Behind" if _ahead(base, row) else "Not to be told apart from"
        sides[side].append(f"{name} ({points(row, base)})")
    return ((side, _listed(found)) for side, found in sides.items() if found)


def _stopped(rows: Sequence[Row]) -> Iterator[str]:
    early = [row for row in rows if len(row.losses) > 1 and row.losses[-1] < (1 - _CHANGE) * row.losses[-2]]
    if early:
        falls = [f"{row.name} (by {100 * (1 - row.losses[-1] / row.losses[-2]):.0f} %)" for row in early]
        yield f"Stopped while still learning, the loss fell by more than a tenth in the last epoch: {_listed(falls)}."
    late = [row for row in rows if row.followed == "val" and row.losses[-1] > (1 + _CHANGE) * min(row.losses)]
    if late:
        lowest = [f"{row.name} (lowest after epoch {1 + row.losses.index(min(row.losses))})" for row in late]
        yield f"Trained for too long, the held-out loss rose again by more than a tenth: {_listed(lowest)}."


def points(row: Row, base: Row) -> str:
    """By how many points of a hundred the mean accuracy differs, with its sign."""
    return f"{100 * (row.mean - base.mean):+.2f}".replace("-", "\N{MINUS SIGN}")


def _size(row: Row) -> str:
    return f"{row.parameters:,} parameters, {_percent(row.mean)}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _listed(names: Sequence[str]) -> str:
    return "; ".join(names) if any(", " in name for name in names) else ", ".join(names)
