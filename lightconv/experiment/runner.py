"""Runs the trainings of a plan that are not finished yet."""

import json
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import onnxruntime
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

import lightconv
from lightconv.errors import UsageError
from lightconv.experiment.plan import Plan
from lightconv.experiment.results import Results, Training, trainings
from lightconv.experiment.scoring import score
from lightconv.experiment.training import check, train


def run(plan: Plan, results: Results, console: Console) -> None:
    """Train what is not finished, with one progress bar over everything.

    The test set is used once a training, after its last epoch. Finished trainings are kept, and one that was
    interrupted goes on after its last whole epoch.

    Raises:
        UsageError: if an option is wrong; nothing has been trained then.
        KeyboardInterrupt: if the user interrupted; the same call goes on.
    """
    everything = trainings(plan)
    todo = [training for training in everything if results.finished(training) is None]
    epochs = {training.file_name: _check(training, plan) for training in todo}
    if len(todo) < len(everything):
        console.print(f"{len(everything) - len(todo)} of {len(everything)} trainings are finished already")
    done, began = len(everything) - len(todo), time.perf_counter()
    with _Bar(console, len(everything), done, sum(epochs.values())) as bar:
        for training in todo:
            resume, difference = results.begin(training)
            if difference:
                console.print(f"{training.name} is trained again, for its configuration has changed: {difference}")
            bar.begin(training.name, epochs[training.file_name])
            arguments, folder = _arguments(training, plan), results.run_folder(training)
            teachers = _teachers(training, results)
            classifier, data, rows = train([*arguments, *_taught(teachers)], folder, bar.tell, resume=resume)
            taught = _taught([path.relative_to(results.folder) for path in teachers])
            result = {
                "command": "lightconv fit " + " ".join([*arguments, *taught]),
                "task": classifier.task,
                "network": classifier.hparams["network"],
                "network_options": classifier.hparams.get("network_options") or {},
                "parameters": sum(parameter.numel() for parameter in classifier.parameters()),
                "data": data.describe(),
                "samples": {part: len(data.part(part)[1]) for part in ("train", "val", "test")},
                "epochs": [row for _, row in sorted(rows.items())],
                "scores": score(classifier, data),
                "versions": versions(),
            }
            results.finish(training, result)
            bar.finish(_outcome(training, result))
    if todo:
        console.print(f"{len(todo)} trainings in {(time.perf_counter() - began) / 60:.1f} minutes")


def versions() -> dict[str, Any]:
    """What the figures depend on besides the configuration."""
    return {
        "lightconv": lightconv.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "onnxruntime": onnxruntime.__version__,
        "threads": torch.get_num_threads(),
        "backend": lightconv.backend(),
    }


def _arguments(training: Training, plan: Plan) -> list[str]:
    threads = [f"--threads={plan.threads}"] if plan.threads else []
    return [*training.run.arguments(training.seed), *threads]


def _teachers(training: Training, results: Results) -> list[Path]:
    """The folders of those that a training learns from."""
    teachers = training.run.teachers
    if teachers is None:
        return []
    folders = results.folders(teachers)
    if len(folders) < len(teachers.seeds):
        raise UsageError(
            f"Expected {teachers.name!r} to be finished before {training.run.name!r}, which it teaches, but only "
            f"{len(folders)} of {len(teachers.seeds)} trainings are in '{results.folder}'; do not leave it out."
        )
    return folders


def _taught(teachers: Sequence[Path]) -> list[str]:
    return [f"--model.teachers={json.dumps([str(path) for path in teachers])}"] if teachers else []


def _check(training: Training, plan: Plan) -> int:
    """The epochs of a training whose options are right."""
    config = check(_arguments(training, plan))
    return int(config["trainer"]["max_epochs"] or 1)


def _outcome(training: Training, result: dict[str, Any]) -> str:
    accuracies = ", ".join(f"{name} {100 * figures['accuracy']:.2f} %" for name, figures in result["scores"].items())
    seconds = sum(row.get("seconds", 0.0) for row in result["epochs"])
    return f"{training.name}: {accuracies}, trained in {seconds:.0f} s"


class _Bar:
    """One line on a terminal, elsewhere a line a training."""

    def __init__(self, console: Console, total: int, done: int, epochs: int) -> None:
        self.console = console
        self.done = done
        self.progress = Progress(
            MofNCompleteColumn(),
            BarColumn(bar_width=20, complete_style="#2a6fb0", finished_style="#2a6fb0"),
            TextColumn("{task.description}"),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]left"),
            console=console,
            auto_refresh=False,
            redirect_stdout=False,
            disable=not console.is_terminal,
        )
        self.total = total
        self.task: TaskID = self.progress.add_task("", total=total, completed=done)
        self.name = ""
        self.drawn = 0.0

    def __enter__(self) -> "_Bar":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def begin(self, name: str, epochs: int) -> None:
        self.name = name
        self.tell(0.0, "")

    def tell(self, share: float, what: str) -> None:
        if time.monotonic() - self.drawn > 0.2:
            self.drawn = time.monotonic()
            text = f"{self.name}  {what}"
            self.progress.update(self.task, completed=self.done + 0.99 * share, description=text, refresh=True)

    def finish(self, outcome: str) -> None:
        self.done += 1
        self.progress.update(self.task, completed=self.done, description=self.name, refresh=True)
        self.console.print(outcome if self.console.is_terminal else f"{self.done}/{self.total}  {outcome}")
        sys.stdout.flush()
