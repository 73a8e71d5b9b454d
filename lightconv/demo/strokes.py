"""From the strokes of a pen to the picture that the network reads."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from lightconv.deploy.runtime import place_ink

__all__ = ["count", "picture", "split"]

SIDE = 28  # pixels of a digit's picture
BOX = 20  # pixels of the longer side of the ink in it
PEN = 2.6  # pixels: with it there is as much ink in a picture as in MNIST's (0.130 of it against 0.132)
FINE = 8  # dots a pixel that strokes are drawn with, before the picture is scaled down
SPECK = 0.04  # of the canvas's height: what is smaller is no digit

Stroke = np.ndarray
"""Points (n, 2), x to the right and y downward, in heights of the canvas."""


def picture(strokes: Sequence[Stroke], digits: int) -> np.ndarray:
    """Draw strokes the way MNIST's pictures look: white on black, 20 of 28 pixels, centred, with an even pen.

    The pen has the same width whether the digit was drawn large or small, because it is put on after scaling.

    Args:
        strokes: points (n, 2) each, in heights of the canvas.
        digits: 1 or 2.

    Returns:
        uint8 (28, 28) or (28, 56); black all over if there is no more than a speck.

    >>> one = np.array([[0.9, 0.1], [0.9, 0.9]])
    >>> picture([one], 1).shape, picture([one, one + [0.3, 0]], 2).shape
    ((28, 28), (28, 56))
    """
    strokes = _without_specks(strokes)
    if digits == 1:
        return _draw(strokes, 1)
    parts = split(strokes)
    if parts is None:
        return _draw(strokes, 2)
    return np.concatenate([_draw(part, 1) for part in parts], axis=1)


def count(strokes: Sequence[Stroke]) -> int:
    """How many digits strokes make: 1, 2, or 0 if their places do not tell.

    A gap makes two. Where two parts touch or overlap a little, or all is wider than a digit should be, it may be
    either: two digits that stand close, or one such as an open 4.

    >>> one = np.array([[0.9, 0.1], [0.9, 0.9]])
    >>> count([one]), count([one, one + [0.3, 0]])
    (1, 2)
    """
    strokes = _without_specks(strokes)
    if not strokes:
        return 1
    width, height = _size(strokes)
    parts = split(strokes)
    gap = -np.inf if parts is None else _gap(*parts)
    if gap > 0.03 * height:
        return 2
    return 0 if gap > -0.2 * height or width > 1.8 * height else 1


def split(strokes: Sequence[Stroke]) -> tuple[list[Stroke], list[Stroke]] | None:
    """Tell the strokes of the left digit from those of the right one.

    Strokes are ordered by their middles and parted where the gap is widest between two parts that are both tall.

    Returns:
        The two groups; None if no such place is found: then both digits hang together.
    """
    if len(strokes) < 2:
        return None
    ordered = sorted(strokes, key=lambda stroke: float(stroke[:, 0].min() + stroke[:, 0].max()))
    low = np.array([stroke.min(axis=0) for stroke in ordered])
    high = np.array([stroke.max(axis=0) for stroke in ordered])
    # corners of the first strokes, up to each, and of the last, from each on
    first_low, first_high = np.minimum.accumulate(low), np.maximum.accumulate(high)
    last_low, last_high = np.minimum.accumulate(low[::-1])[::-1], np.maximum.accumulate(high[::-1])[::-1]
    heights = np.minimum((first_high - first_low)[:-1, 1], (last_high - last_low)[1:, 1])
    gaps = np.where(heights >= 0.4 * (first_high - first_low)[-1, 1], last_low[1:, 0] - first_high[:-1, 0], -np.inf)
    cut = int(gaps.argmax())
    return None if gaps[cut] == -np.inf else (ordered[: cut + 1], ordered[cut + 1 :])


def _draw(strokes: Sequence[Stroke], digits: int) -> np.ndarray:
    shape = (SIDE, SIDE * digits)
    if not strokes:
        return np.zeros(shape, np.uint8)
    width, height = _size(strokes)
    scale = FINE * (BOX - PEN) / max(width / digits, height)
    pen, margin = FINE * PEN, FINE * SIDE // 4
    corner = np.concatenate(strokes).min(axis=0) - margin / scale
    canvas = Image.new("L", (round(width * scale) + 2 * margin, round(height * scale) + 2 * margin))
    draw = ImageDraw.Draw(canvas)
    for stroke in strokes:
        points = [(float(x), float(y)) for x, y in (stroke - corner) * scale]
        draw.line(points, fill=255, width=round(pen), joint="curve")
        for x, y in (points[0], points[-1]):
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return place_ink(np.asarray(canvas, np.float32), shape)


def _without_specks(strokes: Sequence[Stroke]) -> list[Stroke]:
    return [stroke for stroke in strokes if max(_size([stroke])) >= SPECK]


def _size(strokes: Sequence[Stroke]) -> tuple[float, float]:
    points = np.concatenate(list(strokes))
    width, height = points.max(axis=0) - points.min(axis=0)
    return float(width), float(height)


def _gap(left: Sequence[Stroke], right: Sequence[Stroke]) -> float:
    return float(min(stroke[:, 0].min() for stroke in right) - max(stroke[:, 0].max() for stroke in left))
