"""Fonts and colours of the pictures that the package draws, chosen once."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, QUIET, FAINT = "#22303c", "#6b7785", "#e3e7eb"
COLOURS = (
    "#2a6fb0",  # blue
    "#d9601a",  # orange
    "#2e8b57",  # green
    "#8250b4",  # violet
    "#c2343f",  # red
    "#159a9c",  # teal
    "#b98a00",  # ochre
    "#d4568f",  # pink
    "#7a8794",  # grey
    "#83532f",  # brown
    "#5f8f1f",  # olive
    "#3f3f95",  # indigo
)
SMALL, NORMAL, LARGE = 8, 9, 11


def dress(axes: "Axes", title: str = "", x: str = "", y: str = "") -> None:
    """Give axes their titles, a faint grid behind what is drawn, and no frame but the left and the lower line."""
    axes.set_title(title, color=INK, fontsize=NORMAL, loc="left", pad=7)
    axes.set_xlabel(x, color=QUIET, fontsize=SMALL)
    axes.set_ylabel(y, color=QUIET, fontsize=SMALL)
    axes.tick_params(colors=QUIET, labelsize=SMALL, length=3, which="both")
    axes.grid(color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#b4bcc4")
