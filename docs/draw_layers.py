"""Draw what each layer does to a small grid: the pictures of layers.md.

    python docs/draw_layers.py

The numbers in the pictures are computed by the layers themselves.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

import lightconv.functional as F

PICTURES = Path(__file__).parent / "pictures"
INK, PAPER = "#22303c", "#ffffff"
CELL, GAP = 0.42, 0.4  # inches

x4 = torch.tensor([[1.0, 3, 2, 0], [4, 6, 5, 1], [0, 2, 8, 7], [1, 5, 3, 9]])
x2 = torch.tensor([[1.0, 2], [3, 4]])
edge = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
row = torch.tensor([[0.0, 1, 4, 9, 7, 3, 1, 0]])


def on(function, x: Tensor, *args, **options) -> Tensor:
    """A function of batches and channels, applied to one plane."""
    y = function(x[None, None], *args, **options)
    return (y[0] if isinstance(y, tuple) else y)[0, 0]


def steps() -> dict[str, list[tuple[str, Tensor]]]:
    """For each picture its grids, from left to right."""
    pooled, indices = F.max_pool2d(x4[None, None], 2, return_indices=True)
    unpooled = F.max_unpool2d(pooled, indices, 2)[0, 0]
    cols = F.unfold(x4[None, None], 3)
    tent = torch.tensor([[0.5, 1, 0.5]])
    return {
        "conv": [("input", x4), ("weight", edge), ("padding=1", on(F.conv2d, x4, edge[None, None], padding=1))],
        "conv_stride": [
            ("input", x4),
            ("weight", edge),
            ("padding=1, stride=2", on(F.conv2d, x4, edge[None, None], padding=1, stride=2)),
        ],
        "conv_dilation": [
            ("input", row),
            ("weight", torch.tensor([[1.0, 1, 1]])),
            ("padding=2, dilation=2", on(F.conv1d, row[0], torch.ones(1, 1, 3), padding=2, dilation=2)[None]),
        ],
        "conv_transpose": [
            ("input", x2),
            ("weight", edge.abs()),
            ("stride=2", on(F.conv_transpose2d, x2, edge.abs()[None, None], stride=2)),
        ],
        "max_pool": [("input", x4), ("kernel_size=2", pooled[0, 0]), ("indices", indices[0, 0].float())],
        "avg_pool": [("input", x4), ("kernel_size=2", on(F.avg_pool2d, x4, 2))],
        "max_unpool": [("pooled", pooled[0, 0]), ("indices", indices[0, 0].float()), ("kernel_size=2", unpooled)],
        "adaptive_avg_pool": [("input", x4), ("output_size=3", on(F.adaptive_avg_pool2d, x4, 3))],
        "adaptive_max_pool": [("input", x4), ("output_size=3", on(F.adaptive_max_pool2d, x4, 3))],
        "nearest": [("input", x2), ("scale_factor=2", on(F.interpolate, x2, scale_factor=2))],
        "bilinear": [("input", x2), ("scale_factor=2", on(F.interpolate, x2, scale_factor=2, mode="bilinear"))],
        "bicubic": [("input", x2), ("scale_factor=2", on(F.interpolate, x2, scale_factor=2, mode="bicubic"))],
        "antialias": [
            ("input", x4),
            ("size=2, antialias", on(F.interpolate, x4, size=2, mode="bilinear", antialias=True)),
        ],
        "unfold": [("input", x4), ("kernel_size=3", cols[0])],
        "fold": [("columns", cols[0]), ("output_size=4, kernel_size=3", F.fold(cols, 4, 3)[0, 0])],
        "subsample": [("input", x4), ("stride=2", on(F.subsample, x4, 2))],
        "duplicate": [("input", x2), ("factor=2", on(F.duplicate, x2, 2))],
        "bilinear_zeros": [
            ("input", x2),
            ("tent", tent.T @ tent),
            ("factor=2", on(F.upsample_bilinear_zeros, x2, 2)),
        ],
        "conv_max_pool_relu": [
            ("input", x4),
            ("weight", edge),
            ("padding=1, pool_size=2", on(F.conv_max_pool_relu, x4, edge[None, None], padding=1)),
        ],
    }


def number(value: float) -> str:
    """At most two decimals, and none that says nothing."""
    return f"{value:.2f}".rstrip("0").rstrip(".").replace("-0", "0" if abs(value) < 0.005 else "-0")


def draw_grid(axes: Axes, title: str, grid: Tensor) -> None:
    """One grid of numbers, its cells shaded by their values."""
    rows, cols = grid.shape
    most = max(float(grid.abs().max()), 1e-9)
    for i in range(rows):
        for j in range(cols):
            value = float(grid[i, j])
            colour = plt.get_cmap("PuOr_r")(0.5 + 0.36 * value / most)
            ink = PAPER if abs(value) > 0.75 * most else INK
            axes.add_patch(plt.Rectangle((j, i), 1, 1, facecolor=colour, edgecolor=PAPER, linewidth=1.5))
            axes.text(j + 0.5, i + 0.52, number(value), ha="center", va="center", color=ink, fontsize=8)
    axes.set(xlim=(0, cols), ylim=(rows, 0))
    axes.set_axis_off()
    axes.text(cols / 2, -0.3, title, ha="center", va="bottom", fontsize=8, color=INK)


def draw(name: str, grids: list[tuple[str, Tensor]]) -> None:
    """Draw the grids of one layer side by side, with an arrow before the last."""
    room = [max(CELL * grid.shape[1], 0.075 * len(title)) for title, grid in grids]
    width = sum(room) + GAP * (len(grids) - 1) + 0.1
    height = CELL * max(grid.shape[0] for _, grid in grids) + 0.4
    figure = plt.figure(figsize=(width, height))
    left = 0.05
    for place, (title, grid) in zip(room, grids, strict=True):
        across, down = CELL * grid.shape[1], CELL * grid.shape[0]
        box = (left + (place - across) / 2, (height - 0.35 - down) / 2, across, down)
        draw_grid(figure.add_axes(tuple(v / (width, height)[i % 2] for i, v in enumerate(box))), title, grid)
        left += place + GAP
    middle = (left - GAP - room[-1] - GAP / 2) / width
    figure.text(middle, (height - 0.35) / 2 / height, "→", ha="center", va="center", fontsize=13, color=INK)
    figure.savefig(PICTURES / f"{name}.png", dpi=130, facecolor=PAPER, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    """Draw every picture."""
    PICTURES.mkdir(exist_ok=True)
    for name, grids in steps().items():
        draw(name, grids)


if __name__ == "__main__":
    main()
