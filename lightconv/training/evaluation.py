"""What an evaluation found: a table to read, and files in the run's folder."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightconv.files import beside
from lightconv.style import INK, LARGE, NORMAL, QUIET, SMALL

_SHOWN = 10

STAGES = ("validation", "test")
FILES = tuple(f"{stage}{ending}" for stage in STAGES for ending in (".json", "_confusion.csv", "_confusion.png"))


@dataclass(frozen=True)
class Evaluation:
    """A classifier's figures on one part of the data.

    Args:
        stage: ``"validation"`` or ``"test"``, the beginning of the files' names.
        title: above the picture.
        facts: what is written into the JSON file first: data, checkpoint.
        figures: numbers by name.
        class_names: one for each class.
        class_accuracy: shares, (classes,).
        confusion: counts, (classes, classes): rows are labels, columns what was predicted.
    """

    stage: str
    title: str
    facts: dict[str, Any]
    figures: dict[str, float]
    class_names: Sequence[str]
    class_accuracy: NDArray[np.floating]
    confusion: NDArray[np.integer]

    def table(self) -> str:
        """Accuracy by class and what was taken for what; of many classes those that went worst."""
        order = np.argsort(self.class_accuracy, kind="stable")[:_SHOWN]
        if len(self.class_names) <= _SHOWN:
            order = np.arange(len(self.class_names))
        width = max(5, *map(len, self.class_names))
        heading = f"{'class':{width}}  samples  accuracy  most often taken for"
        if len(self.class_names) > _SHOWN:
            heading += f"   (the {_SHOWN} lowest of {len(self.class_names)} classes)"
        return "\n".join([heading, *(self._line(int(label), width) for label in order)])

    def write(self, folder: Path) -> list[Path]:
        """Write figures (JSON), confusion matrix (CSV) and its picture (PNG); returns their paths."""
        names = (f"{self.stage}.json", f"{self.stage}_confusion.csv", f"{self.stage}_confusion.png")
        for name, content in zip(names, (self._json(), self._csv(), self._picture()), strict=True):
            with beside(folder / name) as file:
                file.write(content)
        return [folder / name for name in names]

    def _line(self, label: int, width: int) -> str:
        row = self.confusion[label].copy()
        samples, row[label] = row.sum(), 0
        taken = [f"{self.class_names[other]} ({row[other]})" for other in np.argsort(-row, kind="stable")[:3]]
        wrong = ", ".join(taken[: int((row > 0).sum())])
        accuracy = f"{100 * self.class_accuracy[label]:6.2f} %" if samples else f"{'-':>8}"
        return f"{self.class_names[label]:>{width}}  {samples:7}  {accuracy}  {wrong}".rstrip()

    def _json(self) -> bytes:
        # Figures are float32: their shortest form, 0.8525 and not 0.8525000214576721.
        accuracies = zip(self.class_names, self.class_accuracy, strict=True)
        content = {
            **self.facts,
            **{name: _short(value) for name, value in self.figures.items()},
            "class_accuracy": {name: _short(accuracy) for name, accuracy in accuracies},
        }
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()

    def _csv(self) -> bytes:
        text = io.StringIO(newline="")
        table = csv.writer(text)
        table.writerow(["label", *self.class_names])
        for name, row in zip(self.class_names, self.confusion.tolist(), strict=True):
            table.writerow([name, *row])
        return text.getvalue().encode()

    def _picture(self) -> bytes:
        from matplotlib.colors import PowerNorm
        from matplotlib.figure import Figure  # not pyplot: no window, no global state

        count = len(self.class_names)
        figure = Figure(figsize=(6.4, 6), dpi=150, layout="constrained")
        axes = figure.subplots()
        shares = self.confusion / np.maximum(self.confusion.sum(1, keepdims=True), 1)
        # Errors are a few in a thousand: on a linear scale the diagonal would be all there is to see.
        axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.4, 0, 1), interpolation="nearest")
        every = max(1, count // 10)
        ticks = list(range(0, count, every))
        names = [self.class_names[tick] for tick in ticks]
        axes.set_xticks(ticks, names, fontsize=SMALL, rotation=90 if max(map(len, names)) > 3 else 0)
        axes.set_yticks(ticks, names, fontsize=SMALL)
        axes.tick_params(colors=QUIET, length=0 if every == 1 else 3)
        axes.set_xlabel("predicted", color=QUIET, fontsize=NORMAL)
        axes.set_ylabel("label", color=QUIET, fontsize=NORMAL)
        for side in axes.spines.values():
            side.set_color("#b4bcc4")
        if count <= _SHOWN:
            for (label, predicted), samples in np.ndenumerate(self.confusion):
                if samples:
                    colour = "white" if shares[label, predicted] > 0.3 else INK
                    axes.text(predicted, label, str(samples), ha="center", va="center", color=colour, fontsize=SMALL)
        figure.suptitle(self.title, color=INK, fontsize=LARGE)
        content = io.BytesIO()
        figure.savefig(content, format="png", metadata={"Software": None})
        return content.getvalue()


def _short(value: Any) -> float:
    return float(str(np.float32(value)))
