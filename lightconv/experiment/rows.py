"""Results over seeds: a row of the report's tables for each run."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lightconv.experiment.plan import Part, Run, _text
from lightconv.experiment.results import Results


@dataclass(frozen=True)
class Row:
    """What a run came to.

    Attributes:
        part: its part's name.
        name: the run's name.
        row: what was trained.
        level: the step of the sweep, or None.
        command: that repeats it, for the seeds S.
        seeds: those that are finished.
        task: the classifier's.
        network: its name.
        network_options: of the network.
        parameters: of the network.
        samples: numbers of training, held-out and test samples.
        accuracy: on the test set, for each seed, 0 to 1.
        fresh: on fresh signals, for each seed; empty where there are none.
        followed: ``"val"`` if the epochs were followed on held-out samples, ``"train"`` if on the training samples
            themselves.
        curves: for each metric, for each seed, its values after each epoch; None where one is not finite.
        processor_seconds: of training, for each seed.
        versions: what made it.
        cost: see :class:`~lightconv.experiment.networks.Cost`; empty if not measured.
    """

    part: str
    name: str
    row: str
    level: str | None
    command: str
    seeds: list[int]
    task: str
    network: str
    network_options: dict[str, Any]
    parameters: int
    samples: dict[str, int]
    accuracy: list[float]
    fresh: list[float]
    followed: str
    curves: dict[str, list[list[float | None]]]
    processor_seconds: list[float]
    versions: dict[str, Any]
    cost: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def mean(self) -> float:
        """Accuracy on the test set, mean over the seeds."""
        return statistics.fmean(self.accuracy)

    @property
    def losses(self) -> list[float]:
        """The followed loss after each epoch, mean over the seeds."""
        return means(self.curves[f"{self.followed}_loss"])


def rows(part: Part, results: Results, costs: dict[str, dict[str, float]]) -> list[Row]:
    """The rows of a part: of every run that has finished trainings."""
    return [row for run in part.runs if (row := _row(part, run, list(results.of(run)), costs))]


def network_key(task: str, network: str, options: dict[str, Any], parameters: int) -> str:
    """What decides the cost of a network, as one text."""
    return f"{task} {network} {_text(options)} {parameters}"


def means(curves: Sequence[Sequence[float | None]]) -> list[float]:
    """Mean over the seeds, epoch by epoch; not a number where one is none."""
    return [
        statistics.fmean(float("nan") if value is None else value for value in epoch)
        for epoch in zip(*curves, strict=False)
    ]


def _row(part: Part, run: Run, found: list[dict[str, Any]], costs: dict[str, dict[str, float]]) -> Row | None:
    if not found:
        return None
    first = found[0]
    followed = "val" if first["samples"]["val"] else "train"
    kinds = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    curves = {
        kind: [[_short(epoch[kind]) for epoch in result["epochs"]] for result in found]
        for kind in kinds
        if all(kind in epoch for result in found for epoch in result["epochs"])
    }
    options = " ".join(f"--{name}={_text(value)}" for name, value in run.options.items())
    key = network_key(first["task"], first["network"], first["network_options"], first["parameters"])
    return Row(
        part=part.name,
        name=run.name,
        row=run.row,
        level=run.level,
        command=f"lightconv fit --config {run.config} {options}".strip(),
        seeds=[result["settings"]["seed_everything"] for result in found],
        task=first["task"],
        network=first["network"],
        network_options=first["network_options"],
        parameters=first["parameters"],
        samples=first["samples"],
        accuracy=[result["scores"]["test"]["accuracy"] for result in found],
        fresh=[result["scores"]["fresh"]["accuracy"] for result in found if "fresh" in result["scores"]],
        followed=followed,
        curves=curves,
        processor_seconds=[round(sum(epoch["processor_seconds"] for epoch in result["epochs"]), 1) for result in found],
        versions=first["versions"],
        cost=costs.get(key, {}),
    )


def _short(value: float | None) -> float | None:
    """Five digits: more are noise, and the files are kept."""
    return None if value is None else float(f"{value:.5g}")
