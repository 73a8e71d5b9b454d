"""The picture of a run: loss and error, epoch by epoch."""

from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch import LightningModule, Trainer

from lightconv.files import beside
from lightconv.style import COLOURS, INK, LARGE, NORMAL, dress
from lightconv.training.callbacks.after_failure import after
from lightconv.training.callbacks.history import History, Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES = "curves.png"
# Given, not found by trial layouts, which take as long as all the drawing.
_MARGINS = {"left": 0.07, "right": 0.98, "bottom": 0.13, "top": 0.83, "wspace": 0.16}
_PARTS = {"train": ("training", COLOURS[0]), "val": ("validation", COLOURS[1])}


class Curves(History):
    """Draws ``curves.png`` when fitting ends, even by an error: loss and error per epoch, training and validation.

    Error is 1 - accuracy, in per cent; both axes are logarithmic. Metrics are found by their names ``train_loss``,
    ``val_loss``, ``train_accuracy`` and ``val_accuracy`` (accuracies from 0 to 1); what is not logged is not drawn.

    Args:
        path: of the picture; by default ``curves.png`` in the Trainer's ``log_dir``.
        title: above the picture; by default the name of the model's class and its network.
    """

    def __init__(self, path: str | Path | None = None, title: str | None = None) -> None:
        super().__init__()
        self.path = None if path is None else Path(path)
        self.title = title

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw."""
        super().on_fit_end(trainer, pl_module)
        self._draw(trainer, pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Draw what there is."""
        after(exception, lambda: self._draw(trainer, pl_module))

    def _draw(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if getattr(trainer, "fast_dev_run", False) or not trainer.is_global_zero or not self.rows:
            return
        path = self.path or Path(trainer.log_dir or ".") / CURVES
        network = getattr(pl_module, "network_name", pl_module.hparams.get("network"))
        named = type(pl_module).__name__ + (f", network {network}" if network else "")
        draw(self.rows, path, self.title or named)


def draw(rows: Rows, path: Path, title: str) -> None:
    """Write the picture of some rows of metrics to ``path``, as PNG."""
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    figure = Figure(figsize=(9, 3.8), dpi=150)
    loss, error = figure.subplots(1, 2, gridspec_kw=_MARGINS)
    for part, (label, colour) in _PARTS.items():
        _line(loss, _points(rows, f"{part}_loss"), label, colour, "{:.3g}")
        errors = [(epoch, 100 * (1 - accuracy)) for epoch, accuracy in _points(rows, f"{part}_accuracy")]
        _line(error, errors, label, colour, "{:.2f} %")
    _dress(loss, "loss (cross entropy)")
    _dress(error, "error (%)")
    figure.suptitle(title, color=INK, fontsize=LARGE)
    with beside(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})


def _points(rows: Rows, metric: str) -> list[tuple[int, float]]:
    return [(epoch + 1, row[metric]) for epoch, row in sorted(rows.items()) if metric in row]


def _line(axes: "Axes", points: list[tuple[int, float]], label: str, colour: str, last: str) -> None:
    if not points:
        return
    epochs, values = zip(*points, strict=True)
    axes.plot(
        epochs,
        values,
        color=colour,
        linewidth=1.6,
        marker="o" if len(points) == 1 else None,
        label=f"{label}, at the end {last.format(values[-1])}",
    )


def _dress(axes: "Axes", what: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    dress(axes, what, "epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axes.lines and axes.dataLim.ymax > 0:
        # Logarithmic: on a linear axis the first epochs hide all others. A zero drops below the axis.
        axes.set_yscale("log", nonpositive="clip")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    if axes.lines:
        axes.legend(frameon=False, labelcolor=INK, fontsize=NORMAL)
