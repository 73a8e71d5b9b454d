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

# Where each part stands: from left to right, and how high.
PLACES = {
    "kernels": (-3.1, 0),
    "functional": (0, 0),
    "reference": (3.1, 0),
    "nn": (0, 1),
    "surgery": (-3.1, 1.75),
    "tasks": (0, 2),
    "data": (3.1, 2),
    "deploy": (0, 3),
    "training": (-1.65, 4),
    "experiment": (1.65, 5),
    "demo": (-1.65, 5),
    "cli": (0, 6),
}
NEIGHBOURS = {("functional", "kernels"), ("kernels", "functional")}
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
WIDE, HIGH = 1.25, 0.31  # half of a room
EVERYWHERE = ("errors", "files", "style")  # used by all


def part_of(module: str) -> str | None:
    """The part of the house that a module of ours belongs to."""
    names = module.split(".")
    return names[1] if names[0] == "lightconv" and len(names) > 1 and names[1] in WHAT else None


def imports() -> dict[tuple[str, str], int]:
    """How many imports lead from one part to another, those inside functions included."""
    counted: dict[tuple[str, str], int] = {}
    for path in sorted(ROOT.rglob("*.py")):
        inside = path.relative_to(ROOT).with_suffix("").parts
        user = inside[0]
        if user not in WHAT:
            continue  # the package's own list of names, and what is used everywhere
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module]
                if node.module == "lightconv":
                    modules = [f"lightconv.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            for used in filter(None, map(part_of, modules)):
                if used != user:
                    counted[user, used] = counted.get((user, used), 0) + 1
    return counted


def upward() -> list[tuple[str, str]]:
    """Imports that lead upwards, or across where they may not: there should be none."""
    return [pair for pair in imports() if PLACES[pair[1]][1] >= PLACES[pair[0]][1] and pair not in NEIGHBOURS]


def draw(path: Path = PICTURE) -> None:
    """Rooms, and an arrow for each import between them."""
    _, axes = plt.subplots(figsize=(9, 7.2), dpi=130)
    present = {part for part in PLACES if (ROOT / part).is_dir() or (ROOT / f"{part}.py").is_file()}
    for part in present:
        x, y = PLACES[part]
        door = part == "cli"
        room = plt.Rectangle((x - WIDE, y - HIGH), 2 * WIDE, 2 * HIGH, facecolor=ROOF if door else STONE, zorder=2)
        axes.add_patch(room)
        ink = PAPER if door else INK
        axes.text(x, y + 0.09, part, ha="center", va="center", fontsize=11, weight="bold", color=ink, zorder=3)
        axes.text(x, y - 0.15, WHAT[part], ha="center", va="center", fontsize=8, color=ink, zorder=3)
    counted = imports()
    most = max(counted.values())
    for (user, used), count in counted.items():
        (x, y), (u, v) = PLACES[user], PLACES[used]
        aside = WIDE if u > x else -WIDE
        start, end = ((x + aside, y), (u - aside, v)) if y == v else ((x, y - HIGH), (u, v + HIGH))
        style = {
            "arrowstyle": "-|>",
            "color": INK,
            "alpha": 0.45,
            "linewidth": 0.7 + 2 * count / most,
            "shrinkA": 0,
            "shrinkB": 1,
            # around what stands between
            "connectionstyle": "arc3,rad=0.62" if u == x and y - v in (2, 3) and user != "cli" else "arc3,rad=0",
        }
        axes.annotate("", end, start, arrowprops=style, zorder=1)
    axes.set(xlim=(-4.5, 4.5), ylim=(-0.5, 6.5))
    axes.set_axis_off()
    plt.savefig(path, facecolor=PAPER, bbox_inches="tight", metadata={"Software": None})
    plt.close()


if __name__ == "__main__":
    for pair in upward():
        print("upwards:", " uses ".join(pair), file=sys.stderr)
    draw()
