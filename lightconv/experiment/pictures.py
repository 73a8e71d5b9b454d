"""The report's pictures."""

import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from torch import Tensor

from lightconv.experiment.conclusions import front
from lightconv.experiment.rows import Row, means
from lightconv.style import COLOURS, INK, NORMAL, QUIET, SMALL, dress

_WIDTH = 10.0
_DASHED = (0, (4, 2))
_ACCURACIES = (0, 20, 40, 60, 80, 90, 95, 97, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99)
_HEAT = LinearSegmentedColormap.from_list("heat", ["#ffffff", "#f6d9c6", "#d9601a", "#7a2d06"])


def curves(rows: Sequence[Row]) -> bytes:
    """Loss and accuracy per epoch: mean over the seeds as a line, their range as a band; a column for each level."""
    levels = list(dict.fromkeys(row.level for row in rows))
    names = list(dict.fromkeys(row.row for row in rows))
    colours = dict(zip(names, _cycled(len(names)), strict=True))
    few = len(names) <= 4
    mixed = len({row.followed for row in rows}) > 1
    if len(levels) > 1:
        figure = _figure(_WIDTH, 5.0)
        grid = figure.subplots(2, len(levels), sharey="row", squeeze=False)
    else:
        figure = _figure(_WIDTH, 3.6 if few else 4.4)
        grid = figure.subplots(1, 2, squeeze=False).T
    for column, level in enumerate(levels):
        here = [row for row in rows if row.level == level]
        for axes, metric in zip(grid[:, column], ("loss", "accuracy"), strict=True):
            for row in here:
                style = _DASHED if mixed and row.followed == "train" else "-"
                _line(axes, row, f"{row.followed}_{metric}", colours[row.row], style)
                if few and row.followed == "val":
                    _line(axes, row, f"train_{metric}", colours[row.row], in_training=True)
            title = f"{metric}{', %' * (metric == 'accuracy')}, {_followed(row.followed for row in here)}"
            if len(levels) > 1:
                title = str(level) if metric == "loss" else ""
            dress(axes, title, "epoch" if metric == "accuracy" or len(levels) == 1 else "")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    for axes in grid.ravel():
        axes.set_ylim(bottom=0)
    if len(levels) > 1:
        grid[0, 0].set_ylabel("loss", color=QUIET, fontsize=SMALL)
        grid[1, 0].set_ylabel("accuracy, %", color=QUIET, fontsize=SMALL)
    handles = [grid[0, 0].plot([], [], color=colours[name], linewidth=1.8, label=name)[0] for name in names]
    if few and any(row.followed == "val" for row in rows):
        handles += grid[0, 0].plot([], [], color=QUIET, linewidth=1.8, label="on held-out samples")
        handles += grid[0, 0].plot([], [], color=QUIET, linewidth=1, linestyle=_DASHED, label="in training")
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=5 if few else 3,
        frameon=False,
        labelcolor=INK,
        fontsize=SMALL,
    )
    return _png(figure)


def sweep(rows: Sequence[Row]) -> bytes:
    """Accuracy on the test set against the number of training samples, a line for each network."""
    figure = _figure(_WIDTH * 0.62, 3.8)
    axes = figure.subplots()
    names = list(dict.fromkeys(row.row for row in rows))
    ends = []
    for name, colour in zip(names, _cycled(len(names)), strict=True):
        here = sorted((row for row in rows if row.row == name), key=lambda row: row.samples["train"])
        x = [row.samples["train"] for row in here]
        y = [100 * statistics.fmean(row.accuracy) for row in here]
        low, high = ([100 * pick(row.accuracy) for row in here] for pick in (min, max))
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(x, y, color=colour, linewidth=1.8, marker="o", markersize=4)
        ends.append((y[-1], name, colour, x[-1]))
    dress(axes, "accuracy on the test set, %", "training samples")
    axes.set_xscale("log")
    counts = sorted({row.samples["train"] for row in rows})
    axes.xaxis.set_major_locator(FixedLocator(_legible(counts)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylim(0, 100)
    for (_, name, colour, x_end), y_text in zip(ends, _apart([end[0] for end in ends], 6), strict=True):
        axes.annotate(
            name,
            (x_end, y_text),
            (7, 0),
            textcoords="offset points",
            color=colour,
            fontsize=NORMAL,
            va="center",
            annotation_clip=False,  # a label that was moved apart may stand above 100 %
        )
    axes.set_xlim(counts[0] / 1.15, counts[-1] * (counts[-1] / counts[0]) ** 0.2 * 1.1)
    return _png(figure)


def seen(rows: Sequence[Row]) -> bytes:
    """Loss and accuracy after each epoch against the number of samples trained on until then, a line for each row."""
    figure = _figure(_WIDTH, 3.8)
    names = list(dict.fromkeys(row.row for row in rows))
    colours = dict(zip(names, _cycled(len(names)), strict=True))
    counts = sorted({row.samples["train"] for row in rows})
    mixed = len({row.followed for row in rows}) > 1
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for row in rows:
            scale = 100 if metric == "accuracy" else 1
            y = [scale * value for value in means(row.curves[f"{row.followed}_{metric}"])]
            x = [(epoch + 1) * row.samples["train"] for epoch in range(len(y))]
            width = 0.9 + 1.3 * counts.index(row.samples["train"]) / max(1, len(counts) - 1)
            axes.plot(
                x, y, color=colours[row.row], linewidth=width, marker="o", markersize=2 + width, alpha=0.75,
                linestyle=_DASHED if mixed and row.followed == "train" else "-",
            )  # fmt: skip
        title = f"{metric}{', %' * (metric == 'accuracy')}, {_followed(row.followed for row in rows)}"
        dress(axes, title, "training samples seen, all epochs together")
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    handles = [axes.plot([], [], color=colours[name], linewidth=1.8, label=name)[0] for name in names]
    few, many = (f"{count:,} samples" for count in (counts[0], counts[-1]))
    handles += axes.plot([], [], color=QUIET, linewidth=0.9, marker="o", markersize=2.9, label=f"epochs of {few}")
    handles += axes.plot([], [], color=QUIET, linewidth=2.2, marker="o", markersize=4.2, label=f"epochs of {many}")
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, labelcolor=INK, fontsize=SMALL)
    return _png(figure)


def dots(rows: Sequence[Row], references: Mapping[str, Mapping[str, float]]) -> bytes:
    """Accuracy on the test set of each run: every seed a dot, their mean a line."""
    figure = _figure(_WIDTH * 0.85, 0.95 + 0.29 * len(rows))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        values = [100 * accuracy for accuracy in row.accuracy]
        axes.plot(values, [place] * len(values), "o", color=COLOURS[0], markersize=5, alpha=0.55, markeredgewidth=0)
        mean = statistics.fmean(values)
        axes.plot([mean, mean], [place - 0.3, place + 0.3], color=INK, linewidth=1.8)
        axes.annotate(
            f"{mean:.1f}", (1.01, place), xycoords=("axes fraction", "data"), fontsize=SMALL, color=INK, va="center"
        )
    for name, reference in references.items():
        axes.axvline(100 * reference["accuracy"], color=QUIET, linewidth=1, linestyle=(0, (2, 2)))
        axes.annotate(
            name, (100 * reference["accuracy"], -0.75), (3, 0), textcoords="offset points", color=QUIET, fontsize=SMALL
        )
    dress(axes, "accuracy on the test set, %; each dot is a seed, the stroke their mean")
    axes.set_yticks(range(len(rows)), [row.name for row in rows], color=INK)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(rows) - 0.4, -0.9 if references else -0.6)
    if axes.get_xlim()[0] < 30:
        axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    return _png(figure)


def scatter(rows: Sequence[Row], references: Mapping[str, Mapping[str, float]]) -> bytes:
    """Accuracy on the test set against the number of parameters; the distance to 100 % is logarithmic.

    A hollow dot is a row that another one equals with as few parameters.
    """
    figure = _figure(_WIDTH * 0.78, 4.2)
    axes = figure.subplots()
    levels = list(dict.fromkeys(row.level for row in rows))
    best = (front(rows) if len(levels) == 1 else []) or rows
    colours = _cycled(len(levels)) if len(levels) > 1 else [COLOURS[0]]
    labels: list[tuple[float, float, str]] = []
    for level, colour in zip(levels, colours, strict=True):
        here = sorted((row for row in rows if row.level == level), key=lambda row: row.parameters)
        for row in here:
            errors = [_error(accuracy) for accuracy in row.accuracy]
            mean = _error(statistics.fmean(row.accuracy))
            axes.plot([row.parameters] * 2, [min(errors), max(errors)], color=colour, linewidth=1.4, alpha=0.5)
            filling = colour if row in best else "#ffffff"
            axes.plot(row.parameters, mean, "o", color=colour, markerfacecolor=filling, markersize=6)
            if len(levels) == 1:
                labels.append((row.parameters, mean, row.name))
        if len(levels) > 1:
            x, y = [row.parameters for row in here], [_error(statistics.fmean(row.accuracy)) for row in here]
            axes.plot(x, y, color=colour, linewidth=0.9, alpha=0.5)
            labels.append((x[-1], y[-1], str(level)))
    for name, reference in references.items():
        error = _error(reference["accuracy"])
        if "parameters" in reference:
            axes.plot(reference["parameters"], error, "D", color=QUIET, markersize=5)
            labels.append((reference["parameters"], error, name))
        else:
            axes.axhline(error, color=QUIET, linewidth=1, linestyle=(0, (2, 2)))
            axes.annotate(
                name, (0.005, error), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                color=QUIET, fontsize=SMALL,
            )  # fmt: skip
    if len(levels) > 1:
        for parameters, names in _columns({row.row: row.parameters for row in rows}).items():
            axes.annotate(
                "\n".join(names), (parameters, 0.99), xycoords=("data", "axes fraction"), color=QUIET, fontsize=SMALL,
                ha="center", va="top",
            )  # fmt: skip
    dress(axes, "accuracy on the test set, %, against parameters")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(x=0.16, y=0.14)
    axes.invert_yaxis()
    _label_places(axes, 0.8 * 72 * figure.get_figheight(), labels)
    counts = sorted({row.parameters for row in rows})
    few = len(counts) <= 4 and all(b > 1.5 * a for a, b in pairwise(counts))
    axes.xaxis.set_major_locator(
        FixedLocator(counts) if few else LogLocator(subs=(1, 2, 5) if counts[-1] < 100 * counts[0] else (1,))
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    low, high = sorted(axes.get_ylim())
    known = [100.0 - accuracy for accuracy in _ACCURACIES]
    ticks = [error for error in known if low <= error <= high]
    if len(ticks) < 3:
        ticks = [error for error in MaxNLocator(5).tick_values(low, high) if low <= error <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 - error:.4g}"))
    return _png(figure)


def confusion(counts: Mapping[str, Sequence[Sequence[int]]]) -> bytes:
    """Which digit is taken for which, in per cent of the digit, for each place of the number."""
    figure = _figure(4.4 * len(counts) + 0.6, 4.3)
    for axes, (place, table) in zip(np.atleast_1d(figure.subplots(1, len(counts))), counts.items(), strict=True):
        shares = 100 * np.array(table) / np.maximum(1, np.sum(table, axis=1, keepdims=True))
        wrong = np.where(np.eye(len(shares), dtype=bool), np.nan, shares)
        largest = max(1.0, float(np.nanmax(wrong)))
        axes.imshow(wrong, cmap=_HEAT, vmin=0, vmax=largest)
        for (row, column), share in np.ndenumerate(shares):
            if row == column:
                axes.text(column, row, f"{share:.0f}", color=QUIET, fontsize=SMALL, ha="center", va="center")
            elif share >= 0.05 * largest and share >= 0.1:
                shown = f"{share:.0f}" if share >= 10 else f"{share:.1f}"
                colour = "#ffffff" if share > 0.55 * largest else INK
                axes.text(column, row, shown, color=colour, fontsize=SMALL - 1, ha="center", va="center")
        title = f"{place}: the digit (row) and what it is taken for (column), %" if len(counts) == 1 else f"{place}, %"
        dress(axes, title, "taken for", "is")
        axes.grid(visible=False)
        axes.set_xticks(range(len(shares)))
        axes.set_yticks(range(len(shares)))
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return _png(figure)


def mistakes(found: Sequence[Mapping[str, Any]], samples: Tensor, class_names: Sequence[str]) -> bytes:
    """The samples that were misread with the greatest confidence: what they are → what was said, and how sure."""
    columns = 8 if samples.shape[-1] <= 56 else 4
    count = -(-len(found) // columns)
    signals = samples.dim() == 3
    ratio = 0.6 if signals else samples.shape[2] / samples.shape[3]
    width = _WIDTH / columns
    figure = _figure(_WIDTH, count * (width * ratio + 0.3))
    grid = figure.subplots(count, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, mistake, sample in zip(grid, found, samples, strict=False):
        if signals:
            axes.plot(sample[0].numpy(), color=INK, linewidth=1)
        else:
            axes.imshow(sample[0].numpy(), cmap="gray_r", vmin=0, vmax=255)
        right, said = class_names[mistake["label"]], class_names[mistake["said"]]
        title = f"{right} → {said}   {100 * mistake['probability']:.0f} %"
        axes.set_title(title, fontsize=SMALL, color=INK, pad=3)
    return _png(figure)


def _followed(kinds: Iterable[str]) -> str:
    """What was watched of some runs: the held-out samples, or the training ones where a run holds none out.

    >>> _followed(["val", "train", "val"])
    'on held-out samples (dashed: in training)'
    """
    names = {"val": "on held-out samples", "train": "in training"}
    known = set(kinds)
    return names[known.pop()] if len(known) == 1 else "on held-out samples (dashed: in training)"


def _line(axes: Axes, row: Row, metric: str, colour: str, style: Any = "-", in_training: bool = False) -> None:
    if metric not in row.curves:
        return
    scale = 100 if metric.endswith("accuracy") else 1
    values = [[scale * (float("nan") if v is None else v) for v in seed] for seed in row.curves[metric]]
    epochs = range(1, 1 + len(values[0]))
    if in_training:
        axes.plot(epochs, means(values), color=colour, linewidth=1, linestyle=_DASHED)
        return
    low, high = ([pick(epoch) for epoch in zip(*values, strict=True)] for pick in (min, max))
    axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(epochs, means(values), color=colour, linewidth=1.8, linestyle=style)


def _error(accuracy: float) -> float:
    """In per cent; an accuracy of 1 is drawn as 0.005 %."""
    return max(100 * (1 - accuracy), 0.005)


def _legible(counts: Sequence[int]) -> list[int]:
    """Of ascending numbers those whose names do not run into the one before, on a logarithmic axis from end to end.

    >>> _legible([900, 1000, 3600, 4000])
    [900, 3600]
    """
    kept = [counts[0]]
    for count in counts:
        if count > kept[-1] * (counts[-1] / counts[0]) ** 0.12:
            kept.append(count)
    return kept


def _columns(sizes: Mapping[str, int]) -> dict[int, list[str]]:
    """Names by their size, those of nearly the same size together.

    >>> _columns({"a": 12130, "b": 2050, "c": 12130, "d": 12500})
    {2050: ['b'], 12130: ['a', 'c', 'd']}
    """
    columns: dict[int, list[str]] = {}
    for name, size in sorted(sizes.items(), key=lambda item: item[1]):
        near = next(reversed(columns), 0)
        columns.setdefault(near if size < 1.1 * near else size, []).append(name)
    return columns


def _label_places(axes: Axes, height: float, labels: Sequence[tuple[float, float, str]]) -> None:
    """Write labels to the right of their points, moved apart where they are close, on axes of so many points."""
    span = abs(np.diff(np.log(axes.get_ylim())).item())
    columns: list[list[tuple[float, float, str]]] = []
    for label in sorted(labels):
        if columns and label[0] < 2 * columns[-1][-1][0]:
            columns[-1].append(label)
        else:
            columns.append([label])
    for members in columns:
        places = _apart([np.log(error) / span * height for _, error, _ in members], 9.5)
        for (x, error, name), place in zip(members, places, strict=True):
            moved = np.log(error) / span * height - place
            axes.annotate(
                name, (x, error), (7, moved), textcoords="offset points", color=INK, fontsize=SMALL, va="center"
            )


def _apart(values: Sequence[float], gap: float) -> list[float]:
    """The values, moved as little as it takes to keep a gap between neighbours."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    clusters: list[list[int]] = [[i] for i in order]
    centre = lambda cluster: statistics.fmean(values[i] for i in cluster)  # noqa: E731
    merged = True
    while merged:
        merged = False
        for k in range(len(clusters) - 1):
            upper, lower = clusters[k], clusters[k + 1]
            reach = gap * (len(upper) + len(lower)) / 2
            if centre(lower) - centre(upper) < reach:
                clusters[k : k + 2] = [upper + lower]
                merged = True
                break
    placed = [0.0] * len(values)
    for cluster in clusters:
        for k, i in enumerate(cluster):
            placed[i] = centre(cluster) + gap * (k - (len(cluster) - 1) / 2)
    return placed


def _cycled(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None}, facecolor="white")
    return file.getvalue()
