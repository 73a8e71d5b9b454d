"""Pictures for the tutorials: signals, wires, pictures side by side, grids of numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

INK, FAINT, ORANGE, BLUE, GREEN = "#22303c", "#d8dde2", "#d9601a", "#2a6fb0", "#3a8a5f"
WIDTH = 9  # inches, the width of a page

plt.rcParams.update(
    {
        "figure.dpi": 110,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "white",
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.edgecolor": "#999999",
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": plt.cycler(
            color=[ORANGE, BLUE, GREEN, "#8057a8", "#999999"]
        ),
        "legend.frameon": False,
        "image.cmap": "gray",
    }
)


def array(values: Any) -> np.ndarray:
    """A tensor or list as an array without axes of length one."""
    return np.squeeze(
        np.asarray(values.detach() if hasattr(values, "detach") else values)
    )


def stems(
    axes: Axes, values: Any, title: str = "", colour: str = ORANGE, ghost: Any = None
) -> None:
    """A signal as dots on stems; in grey, perhaps, the one it was made from."""
    y = array(values)
    if ghost is not None:
        axes.plot(array(ghost), "o-", color=FAINT, markersize=4, linewidth=1)
    axes.vlines(range(len(y)), 0, y, color=colour, linewidth=1.2)
    axes.plot(y, "o", color=colour, markersize=5)
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.set(
        title=title,
        xlim=(-0.7, max(len(y), 0 if ghost is None else len(array(ghost))) - 0.3),
    )


def wires(
    axes: Axes,
    inputs: int,
    kernel_size: int,
    stride: int = 1,
    dilation: int = 1,
    title: str = "",
) -> None:
    """Which inputs (above) each output (below) reads, the middle of the kernel on the output's own place."""
    reach = kernel_size // 2
    places = range(0, inputs, stride)
    for number, place in enumerate(places):
        chosen = number == len(places) // 2
        for tap in range(-reach, reach + 1):
            source = place + tap * dilation
            inside = 0 <= source < inputs
            colour = ORANGE if chosen else FAINT
            style = "-" if inside else ":"
            axes.plot(
                [place, source],
                [0, 1],
                style,
                color=colour,
                linewidth=2 if chosen else 1,
                zorder=1 + chosen,
            )
            if not inside:
                axes.plot(
                    source, 1, "o", mfc="white", mec="#999999", markersize=7, zorder=3
                )
        axes.plot(
            place, 0, "o", color=ORANGE if chosen else INK, markersize=8, zorder=3
        )
    axes.plot(range(inputs), [1] * inputs, "o", color=BLUE, markersize=8, zorder=3)
    axes.text(-1.3 - reach * dilation, 1, "input", ha="right", va="center")
    axes.text(-1.3 - reach * dilation, 0, "output", ha="right", va="center")
    axes.set(title=title, ylim=(-0.2, 1.2))
    axes.set_axis_off()


def numbers(axes: Axes, grid: Any, title: str = "", form: str = "{:g}") -> None:
    """A matrix as coloured cells, each with its number unless it is zero."""
    values = array(grid)
    most = max(float(np.abs(values).max()), 1e-9)
    axes.imshow(values, cmap="PuOr_r", vmin=-1.4 * most, vmax=1.4 * most)
    for (row, col), value in np.ndenumerate(values):
        if value:
            axes.text(
                col, row, form.format(value), ha="center", va="center", fontsize=7
            )
    axes.set(title=title, xticks=[], yticks=[])
    axes.set_xticks(np.arange(-0.5, values.shape[1]), minor=True)
    axes.set_yticks(np.arange(-0.5, values.shape[0]), minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


def show(
    pictures: Mapping[str, Any],
    columns: int | None = None,
    smooth: bool = False,
    **options: Any,
) -> None:
    """Pictures side by side under their names: (H, W), (3, H, W) or either with a batch of one."""
    columns = columns or len(pictures)
    rows = -(-len(pictures) // columns)
    shapes = [array(picture).shape[-2:] for picture in pictures.values()]
    height = WIDTH / columns * max(h / w for h, w in shapes) + 0.3
    _, grid = plt.subplots(rows, columns, figsize=(WIDTH, rows * height), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (name, picture) in zip(grid.flat, pictures.items(), strict=False):
        values = array(picture)
        if values.ndim == 3:
            values = values.transpose(1, 2, 0).clip(0, 1)
        axes.imshow(
            values, interpolation="antialiased" if smooth else "nearest", **options
        )
        axes.set_title(f"{name}\n{values.shape[0]} × {values.shape[1]}", fontsize=8)
    plt.show()


def curves(
    rows: Sequence[Mapping[str, float]], names: Mapping[str, str], title: str = ""
) -> None:
    """Accuracies, epoch by epoch, in per cent."""
    _, axes = plt.subplots(figsize=(WIDTH / 1.5, 2.8))
    for name, label in names.items():
        values = [100 * row[name] for row in rows]
        axes.plot(
            range(1, len(values) + 1),
            values,
            "o-",
            markersize=3,
            label=f"{label}, at last {values[-1]:.1f} %",
        )
    axes.set(xlabel="epoch", title=title, ylabel="right (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=FAINT, linewidth=0.6)
    axes.legend()
    plt.show()
