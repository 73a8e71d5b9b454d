"""Draw how the package is built, from its imports: the picture of architecture.md.

    python docs/draw_house.py

A storey may use what lies below it. An arrow is drawn for each import that the code really makes.
"""

import ast
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1] / "lightconv"
PICTURE = Path(__file__).parent / "pictures" / "house.png"
INK, PAPER, STONE, ROOF = "#22303c", "#ffffff", "#f3e3d3", "#d9601a"

# From the ground up. What stands on one storey does not use its neighbours, but for those named here.
STOREYS = (
    ("kernels", "functional"),
    ("nn", "reference"),
    ("surgery",),
    ("data", "tasks"),
    ("deploy",),
    ("training",),
    ("experiment", "demo"),
    ("cli",),
)
NEIGHBOURS = {("functional", "kernels"), ("kernels", "functional"), ("data", "tasks"), ("experiment", "demo")}
WHAT = {
    "kernels": "compiled for the CPU",
    "functional": "the definitions",
    "nn": "the same as Modules",
    "reference": "plain loops, for tests",
    "surgery": "convert, compose, fuse",
    "data": "data sets in memory",
    "tasks": "classifiers",
    "deploy": "ONNX and runtime",
    "training": "LightningCLI",
    "experiment": "many seeds, a report",
    "demo": "draw a number",
    "cli": "the front door",
}
EVERYWHERE = ("errors", "files")  # used by all


def part_of(module: str) -> str | None:
    """The part of the house that a module of ours belongs to."""
    names = module.split(".")
    return names[1] if names[0] == "lightconv" and len(names) > 1 and names[1] not in EVERYWHERE else None


def imports() -> dict[tuple[str, str], int]:
    """How many imports lead from one part to another, those inside functions included."""
    counted: dict[tuple[str, str], int] = {}
    for path in sorted(ROOT.rglob("*.py")):
        inside = path.relative_to(ROOT).with_suffix("").parts
        user = inside[0]
        if user == "__init__":
            continue  # the package's own list of names
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module]
                if node.module == "lightconv":
                    modules = [f"lightconv.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            for used in filter(None, map(part_of, modules)):
                if used != user and (ROOT / used).is_dir() or (ROOT / f"{used}.py").is_file():
                    counted[user, used] = counted.get((user, used), 0) + (used != user)
    return {pair: count for pair, count in counted.items() if count}


def storey(part: str) -> int:
    """How high a part stands."""
    return next(level for level, parts in enumerate(STOREYS) if part in parts)


def upward() -> list[tuple[str, str]]:
    """Imports that lead upwards, or across where they may not: there should be none."""
    return [
        (user, used)
        for user, used in imports()
        if storey(used) > storey(user) or (storey(used) == storey(user) and (user, used) not in NEIGHBOURS)
    ]


def draw(path: Path = PICTURE) -> None:
    """Rooms, and an arrow for each import between them."""
    figure, axes = plt.subplots(figsize=(8.6, 8.2), dpi=130)
    middles = {}
    present = [[part for part in parts if (ROOT / part).is_dir() or (ROOT / f"{part}.py").is_file()]
               for parts in STOREYS]  # fmt: skip
    present = [parts for parts in present if parts]
    top = len(present) - 1
    for level, parts in enumerate(present):
        width = 2.6 if level < top else 1.9
        for number, part in enumerate(parts):
            x = (number - (len(parts) - 1) / 2) * (width + 1.5)
            y = level * 1.25
            colour = ROOF if level == top else STONE
            axes.add_patch(plt.Rectangle((x - width / 2, y - 0.36), width, 0.72, facecolor=colour, edgecolor=PAPER,
                                         linewidth=1.5, zorder=2))  # fmt: skip
            ink = PAPER if level == top else INK
            axes.text(x, y + 0.1, part, ha="center", va="center", fontsize=11, weight="bold", color=ink, zorder=3)
            axes.text(x, y - 0.17, WHAT[part], ha="center", va="center", fontsize=8, color=ink, zorder=3)
            middles[part] = (x, y)
    counted = imports()
    most = max(counted.values())
    for (user, used), count in counted.items():
        (x, y), (u, v) = middles[user], middles[used]
        across = y == v
        start = (x - 1.3 if u < x else x + 1.3, y) if across else (x, y - 0.38)
        end = (u + 1.3 if u < x else u - 1.3, v) if across else (u, v + 0.38)
        bend = 0.0 if across or abs(y - v) < 1.5 else 0.24 * (1 if (hash_of(user, used) % 2) else -1)
        axes.annotate("", end, start, zorder=1, arrowprops={
            "arrowstyle": "-|>", "color": INK, "alpha": 0.35, "shrinkA": 0, "shrinkB": 1,
            "linewidth": 0.6 + 2 * count / most, "connectionstyle": f"arc3,rad={bend}"})  # fmt: skip
    axes.set(xlim=(-4.4, 4.4), ylim=(-0.6, top * 1.25 + 0.6))
    axes.set_axis_off()
    figure.savefig(path, facecolor=PAPER, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def hash_of(*names: str) -> int:
    """A number that depends on some names, the same on every run."""
    return sum(map(ord, "".join(names)))


if __name__ == "__main__":
    for pair in upward():
        print("upwards:", " uses ".join(pair), file=sys.stderr)
    draw()
