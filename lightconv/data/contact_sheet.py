"""A picture of a data set: some samples of each class, labelled."""

from pathlib import Path

import numpy as np
from torch import Tensor

from lightconv.data.files import beside

COLUMNS = 10
SAMPLES = 100
_INK, _FAINT, _LINE = "#333333", "#dddddd", "#1f5fa8"


def contact_sheet(x: Tensor, y: Tensor, class_names: tuple[str, ...], path: Path, title: str, first: int = 0) -> None:
    """Write a PNG file with about a hundred samples in rows of ten, class by class, each with its label.

    Args:
        x: pictures (N, 1, H, W) or signals (N, 1, L).
        y: their labels.
        class_names: the labels' names.
        path: of the file; it appears whole or not at all.
        title: what stands above.
        first: of each class, how many samples to skip.

    Raises:
        OSError: if the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # takes a while to import
    from matplotlib.figure import Figure

    chosen = choose(y.numpy(), len(class_names), first)
    rows = -(-len(chosen) // COLUMNS)
    signals = x.dim() == 3
    ratio = 0.6 if signals else x.shape[-2] / x.shape[-1]
    figure = Figure(figsize=(10, 10 * (ratio + 0.25) * rows / COLUMNS + 0.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, COLUMNS, squeeze=False)
    low, high = (float(x[chosen].min()), float(x[chosen].max())) if len(chosen) else (0.0, 1.0)
    for place, ax in enumerate(axes.flat):
        ax.set(xticks=[], yticks=[])
        for side in ax.spines.values():
            side.set_color(_FAINT)
        if place >= len(chosen):
            ax.set_visible(False)
            continue
        sample = x[chosen[place], 0].numpy()
        ax.set_title(class_names[int(y[chosen[place]])], fontsize=8, color=_INK, pad=2)
        if signals:
            ax.plot(sample, color=_LINE, linewidth=1)
            ax.set_ylim(low, high)
        else:
            ax.imshow(sample, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    figure.suptitle(title, color=_INK, fontsize=11)
    with beside(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})


def choose(y: np.ndarray, classes: int, first: int = 0) -> np.ndarray:
    """Indices of the samples to show: equally many of each class, a hundred in all, or one of each class.

    >>> choose(np.array([1, 0, 1, 0, 0]), classes=2, first=1).tolist()
    [3, 4, 2]
    """
    each = max(1, SAMPLES // classes)
    return np.concatenate([np.flatnonzero(y == label)[first : first + each] for label in range(classes)])
