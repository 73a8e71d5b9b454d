"""One measured comparison, and the tables and plots of many."""

import csv
import io
import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

OURS, PLAIN, COMPILED, CHANNELS_LAST = "lightconv", "torch.nn", "torch.compile", "channels_last"


@dataclass
class Row:
    """Median seconds of some candidates for one piece of work.

    Attributes:
        section: which benchmark it belongs to.
        case: what was computed, shapes in words.
        work: forward, forward + backward, training step, ...
        threads: of torch and of our kernels.
        plain: seconds by candidate, with the memory allocator as it is.
        tuned: seconds by candidate, large buffers reused.
        least: seconds that the machine's rates allow; 0 if not asked.
        wanted: the ratios to `torch.nn` and to the best tuned torch that we set out for.
        note: why the figure is what it is.
    """

    section: str
    case: str
    work: str
    threads: int
    plain: dict[str, float] = field(default_factory=dict)
    tuned: dict[str, float] = field(default_factory=dict)
    least: float = 0.0
    wanted: tuple[float, float] = (0.0, 0.0)
    note: str = ""

    def ratio(self) -> float | None:
        """torch.nn's time over ours."""
        return self.plain[PLAIN] / self.plain[OURS] if PLAIN in self.plain and OURS in self.plain else None

    def best(self) -> tuple[str, float] | None:
        """The fastest way to use torch, and its time over ours."""
        others = {name: seconds for name, seconds in self.tuned.items() if name != OURS}
        if OURS not in self.tuned or not others:
            return None
        name = min(others, key=lambda other: others[other])
        return name, others[name] / self.tuned[OURS]

    def met(self) -> str:
        """Whether the wanted ratios were reached: yes, no, or nothing if none were set."""
        best = self.best()
        pairs = [(self.ratio(), self.wanted[0]), (best and best[1], self.wanted[1])]
        asked = [found >= least for found, least in pairs if least and found is not None]
        return "" if not asked else "yes" if all(asked) else "no"


HEAD = (
    "case",
    "work",
    "threads",
    "lightconv, ms",
    "× torch.nn",
    "× best tuned torch",
    "which",
    "of the limit",
    "wanted",
)


def cells(row: Row) -> tuple[str, ...]:
    """A row as text."""
    ratio, best = row.ratio(), row.best()
    ours = row.plain.get(OURS) or row.tuned.get(OURS) or 0.0
    fastest = min(s for s in (row.plain.get(OURS), row.tuned.get(OURS)) if s) if ours else 0.0
    wanted = " / ".join(f"{w:.2g}" for w in row.wanted if w)
    return (
        row.case,
        row.work,
        str(row.threads),
        f"{1000 * ours:.3g}",
        f"{ratio:.2f}" if ratio else "",
        f"{best[1]:.2f}" if best else "",
        best[0] if best else "",
        f"{row.least / fastest:.0%}" if row.least and fastest else "",
        f"{wanted}: {row.met()}" if wanted else "",
    )


def sections(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by section, in order."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.section, []).append(row)
    return found


def show(rows: Sequence[Row], console: Console | None = None) -> None:
    """Print the tables."""
    console = console or Console(width=170, soft_wrap=True)
    for section, some in sections(rows).items():
        table = Table(*HEAD, title=section, title_justify="left", box=None)
        for row in some:
            table.add_row(*cells(row))
        console.print(table)
        for note in dict.fromkeys(f"{row.case}: {row.note}" for row in some if row.note):
            console.print(f"  {note}")
        console.print()


def markdown(rows: Sequence[Row]) -> str:
    """The tables for a page."""
    out = io.StringIO()
    for section, some in sections(rows).items():
        print(f"### {section}\n", file=out)
        print("| " + " | ".join(HEAD) + " |", file=out)
        print("|" + "---|" * len(HEAD), file=out)
        for row in some:
            print("| " + " | ".join(cells(row)) + " |", file=out)
        print(file=out)
        notes = dict.fromkeys(f"{row.case}: {row.note}" for row in some if row.note)
        if notes:
            print("\n".join(f"- {note}" for note in notes) + "\n", file=out)
    return out.getvalue()


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Every median, one a line."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["section", "case", "work", "threads", "buffers", "candidate", "seconds", "machine's limit"])
        for row in rows:
            for buffers, seconds in (("fresh", row.plain), ("reused", row.tuned)):
                for name, value in seconds.items():
                    writer.writerow([row.section, row.case, row.work, row.threads, buffers, name, value, row.least])


def save(rows: Sequence[Row], path: Path) -> None:
    """As JSON, for `load`."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


def load(path: Path) -> list[Row]:
    """Rows that were saved."""
    return [Row(**{**row, "wanted": tuple(row["wanted"])}) for row in json.loads(path.read_text(encoding="utf-8"))]


def plot(rows: Sequence[Row], path: Path, title: str) -> None:
    """Ratios as bars on a logarithmic axis: right of 1 we are faster."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with_ratio = [row for row in rows if row.ratio() or row.best()]
    least_threads = min(row.threads for row in with_ratio)
    shown = [row for row in with_ratio if row.threads == least_threads]
    figure, axes = pyplot.subplots(figsize=(11, 1.5 + 0.27 * len(shown)), layout="constrained")
    names = [f"{row.case}, {row.work}" for row in shown]
    places = range(len(shown))
    for offset, colour, label, ratios in (
        (-0.2, "#4477aa", "torch.nn as it is written", [row.ratio() for row in shown]),
        (0.2, "#ccbb44", "best tuned torch", [best[1] if (best := row.best()) else None for row in shown]),
    ):
        bars = [(place + offset, ratio) for place, ratio in zip(places, ratios, strict=True) if ratio]
        axes.barh([p for p, _ in bars], [r - 1 for _, r in bars], height=0.38, left=1, color=colour, label=label)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    ticks = [0.25, 0.5, 1, 2, 4, 8, 16]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(list(places), names, fontsize=7)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="x", linewidth=0.4)
    axes.set_xlabel(f"torch's time over lightconv's, {least_threads} thread(s): right of 1 lightconv is faster")
    figure.suptitle(textwrap.fill(title, 120), fontsize=8)
    figure.legend(loc="outside lower right", fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
