"""report.html and report.md."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape
from rich.console import Console
from rich.table import Table as RichTable

from lightconv.errors import UsageError
from lightconv.experiment import pictures
from lightconv.experiment.conclusions import conclusions
from lightconv.experiment.networks import costs
from lightconv.experiment.plan import Part, Plan, slug
from lightconv.experiment.results import NETWORKS, Results, read_json, trainings, write_json
from lightconv.experiment.rows import Row, network_key, rows
from lightconv.experiment.tables import Table, mean_and_range, table
from lightconv.experiment.training import check, instance
from lightconv.files import beside

HTML, MARKDOWN, ROWS, PICTURES = "report.html", "report.md", "rows.json", "pictures"


@dataclass(frozen=True)
class Picture:
    """A picture of the report.

    Attributes:
        name: of its file, without the suffix.
        caption: what it shows.
        png: its content.
    """

    name: str
    caption: str
    png: bytes

    @property
    def file(self) -> str:
        """Relative to the report."""
        return f"{PICTURES}/{self.name}.png"

    @property
    def uri(self) -> str:
        """The content as an address."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


@dataclass(frozen=True)
class Section:
    """A part of the report: what was asked, what came out, table and pictures, the commands that repeat the rows."""

    part: Part
    rows: list[Row]
    conclusions: list[str]
    table: Table
    pictures: list[Picture]


def write_report(plan: Plan, results: Results, command: str, console: Console) -> None:
    """Write ``report.html`` (self-contained), ``report.md`` with ``pictures/``, and ``rows.json``; print the tables.

    What is not finished is left out, and the report says so.

    Args:
        plan: what was to be done.
        results: what is finished of it.
        command: that was given.
        console: where the tables are printed.

    Raises:
        UsageError: if nothing is finished.
    """
    networks = _costs(plan, results)
    sections = [_section(part, found, results) for part in plan.parts if (found := rows(part, results, networks))]
    if not sections:
        raise UsageError(f"Expected finished trainings in '{results.folder}', but there are none; train without "
                         "`--report_only` first.")  # fmt: skip
    everything = trainings(plan)
    finished = sum(results.finished(training) is not None for training in everything)
    facts = {
        "plan": plan,
        "sections": sections,
        "command": command,
        "missing": len(everything) - finished,
        "total": len(everything),
        "versions": sections[0].rows[0].versions,
    }
    for name, template in ((HTML, "report.html.jinja"), (MARKDOWN, "report.md.jinja")):
        _write(results, name, _render(template, facts).encode())
    for section in sections:
        for picture in section.pictures:
            _write(results, picture.file, picture.png)
    write_json(results.folder / ROWS, [row.as_dict() for section in sections for row in section.rows])
    for section in sections:
        _print(section, console)
    console.print(f"The report is in {results.folder / HTML} and {results.folder / MARKDOWN}")


def _section(part: Part, found: list[Row], results: Results) -> Section:
    drawn = {
        "sweep": ("Accuracy on the test set against the number of training samples; bands: all seeds.",
                  lambda: pictures.sweep(found)),
        "seen": ("After each epoch, against all samples seen until then; points of one colour and thickness: one row, "
                 "means over its seeds.", lambda: pictures.seen(found)),
        "accuracy": ("Accuracy on the test set.", lambda: pictures.dots(found, part.references)),
        "parameters": ("Accuracy against parameters; strokes: all seeds; hollow: another is as good with as few."
                       if len({row.level for row in found}) == 1
                       else "Accuracy against parameters; strokes: all seeds.",
                       lambda: pictures.scatter(found, part.references)),
        "curves": ("Epoch by epoch; lines: means over the seeds, bands: all seeds.", lambda: pictures.curves(found)),
    }  # fmt: skip
    made = [Picture(f"{part.name}-{kind}", drawn[kind][0], drawn[kind][1]()) for kind in kinds(found)]
    best = max(found, key=lambda row: sum(row.accuracy) / len(row.accuracy))
    for name in part.closer or (best.name,):
        made += _closer(part, name, results)
    return Section(part, found, conclusions(found, part.against), table(found, against=part.against), made)


def kinds(found: Sequence[Row]) -> list[str]:
    """Which pictures have something to show of a part's rows."""
    sizes = [row.parameters for row in found]
    chosen = []
    if len({row.level for row in found}) > 1 and len({row.samples["train"] for row in found}) > 1:
        chosen += ["sweep", "seen"]
    elif len(found) > 1:
        chosen.append("accuracy")
    if max(sizes) > 1.01 * min(sizes):
        chosen.append("parameters")
    return [*chosen, "curves"]


def _closer(part: Part, name: str, results: Results) -> list[Picture]:
    run = next(run for run in part.runs if run.name == name)
    found = list(results.of(run))
    if not found:
        return []
    scores = [result["scores"]["test"] for result in found]
    total = {place: _sum([score["confusion"][place] for score in scores]) for place in scores[0]["confusion"]}
    stem = f"{part.name}-{slug(run.name)}"
    seeds = f"{len(found)} seeds together" if len(found) > 1 else "one seed"
    made = [
        Picture(f"{stem}-confusion", f"{name}: which digit is taken for which on the test set ({seeds}).",
                pictures.confusion(total))
    ]  # fmt: skip
    if mistakes := scores[0]["mistakes"]:
        config = check(run.arguments(found[0]["settings"]["seed_everything"]))
        data = instance(config["data"])
        x, _ = data.part("test")
        samples = x[[mistake["index"] for mistake in mistakes]]
        png = pictures.mistakes(mistakes, samples, data.class_names)
        seed = found[0]["settings"]["seed_everything"]
        caption = f"{name}, seed {seed}: the mistakes it was surest of, what it is → what was said."
        made.append(Picture(f"{stem}-mistakes", caption, png))
    return made


def _sum(tables: Sequence[Sequence[Sequence[int]]]) -> list[list[int]]:
    return [[sum(cells) for cells in zip(*lines, strict=True)] for lines in zip(*tables, strict=True)]


def _costs(plan: Plan, results: Results) -> dict[str, dict[str, float]]:
    """What the networks cost, measured together the first time that they are all known."""
    wanted: dict[str, dict[str, Any]] = {}
    for part in plan.parts:
        for row in rows(part, results, {}):
            key = network_key(row.task, row.network, row.network_options, row.parameters)
            wanted.setdefault(key, {"task": row.task, "network": row.network, "options": row.network_options})
    known = read_json(results.folder / NETWORKS) or {}
    if wanted.keys() - known.keys():
        from lightconv.tasks.loading import TASKS

        made = [TASKS[one["task"]](one["network"], network_options=one["options"]) for one in wanted.values()]
        found = {key: cost.as_dict() for key, cost in zip(wanted, costs(made), strict=True)}
        known = {**known, **found}
        write_json(results.folder / NETWORKS, known)
    return known


def _render(name: str, facts: dict[str, Any]) -> str:
    template = resources.files("lightconv.experiment").joinpath("templates", name).read_text(encoding="utf-8")
    environment = Environment(
        autoescape=".html" in name, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["code"] = lambda text: Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))
    return environment.from_string(template).render(facts)


def _write(results: Results, name: str, content: bytes) -> None:
    with beside(results.folder / name) as file:
        file.write(content)


def _print(section: Section, console: Console) -> None:
    shown = RichTable(title=section.part.title, title_style="bold", title_justify="left", box=None, pad_edge=False)
    for head, number in (("network", False), ("seeds", True), ("parameters", True), ("test accuracy, %", True)):
        shown.add_column(head, justify="right" if number else "left")
    for row in section.rows:
        shown.add_row(row.name, str(len(row.seeds)), f"{row.parameters:,}", mean_and_range(row.accuracy))
    console.print(shown)
    console.print()
