"""A picture of a data set: some samples of each class, labelled."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lightconv.files import beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
    height, width = (x.shape[2] * 5 // 8, x.shape[2]) if x.dim() == 3 else (x.shape[2], x.shape[3])
    label, gap = max(6, width // 6), max(2, width // 14)
    step = height + label + gap, width + gap
    size = rows * step[0] + gap, COLUMNS * step[1] + gap
    inches = 10 * size[0] / size[1]
    figure = Figure(figsize=(10, inches + 0.35), dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, inches / (inches + 0.35)))
    axes.set_axis_off()
    corners = [(row * step[0] + label, column * step[1] + gap) for row in range(rows) for column in range(COLUMNS)]
    samples = x[chosen, 0].numpy()
    if x.dim() == 3:
        _draw_signals(axes, samples, corners, height)
    else:
        _draw_pictures(axes, samples, corners, size)
    axes.set(xlim=(0, size[1]), ylim=(size[0], 0))
    for (top, left), index in zip(corners, chosen.tolist(), strict=False):
        name = class_names[int(y[index])]
        axes.text(left + width / 2, top - label * 0.15, name, fontsize=8, color=_INK, ha="center", va="bottom")
    figure.suptitle(title, color=_INK, fontsize=11, y=1 - 0.06 / (inches + 0.35))
    with beside(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})


def choose(y: np.ndarray, classes: int, first: int = 0) -> np.ndarray:
    """Indices of the samples to show: equally many of each class, a hundred in all, or one of each class.

    >>> choose(np.array([1, 0, 1, 0, 0]), classes=2, first=1).tolist()
    [3, 4, 2]
    """
    each = max(1, SAMPLES // classes)
    return np.concatenate([np.flatnonzero(y == label)[first : first + each] for label in range(classes)])


def _draw_pictures(axes: "Axes", pictures: np.ndarray, corners: list[tuple[int, int]], size: tuple[int, int]) -> None:
    sheet = np.full(size, 255, np.uint8)
    for (top, left), picture in zip(corners, pictures, strict=False):
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    extent = (0, size[1], size[0], 0)
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto", extent=extent)


def _draw_signals(axes: "Axes", signals: np.ndarray, corners: list[tuple[int, int]], height: int) -> None:
    low, high = float(signals.min()), float(signals.max())
    places = np.arange(signals.shape[1]) + 0.5
    for (top, left), signal in zip(corners, signals, strict=False):
        axes.plot(left + places, top + height * (high - signal) / max(high - low, 1e-9), color=_LINE, linewidth=1)
        axes.hlines(top + height, left, left + signals.shape[1], color=_FAINT, linewidth=0.8)
