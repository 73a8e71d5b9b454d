"""Digits as a hand draws them: the strokes of MNIST test digits, put somewhere on the canvas."""

import json
from pathlib import Path

import numpy as np

DIGITS = {int(k): v for k, v in json.loads(Path(__file__).with_name("digits.json").read_text("utf-8")).items()}
Strokes = list[np.ndarray]


def drawn(number: str, which: int = 0, seed: int = 0) -> Strokes:
    """Strokes of a number in heights of a canvas twice as wide as high, at a place and of a size drawn at random.

    Args:
        number: one digit or two.
        which: of the ten examples of the digit; of two, the second digit's example is the next one.
        seed: decides place and size.
    """
    rng = np.random.default_rng([seed, which, *map(int, number)])
    size, left, strokes = rng.uniform(0.5, 0.8), 0.0, []
    for place, digit in enumerate(number):
        digit_strokes = [np.array(stroke) / 1000 for stroke in DIGITS[int(digit)][(which + place) % 10]]
        digit_strokes = fitted(digit_strokes, size * rng.uniform(0.85, 1.1))
        corner = np.array([left, rng.uniform(-0.02, 0.02)])
        strokes += [stroke + corner for stroke in digit_strokes]
        left = max(stroke[:, 0].max() for stroke in strokes) + rng.uniform(0.08, 0.3)
    low, high = np.concatenate(strokes).min(axis=0), np.concatenate(strokes).max(axis=0)
    corner = rng.uniform([0.05, 0.03], [1.95, 0.97] - (high - low))
    return [stroke - low + corner for stroke in strokes]


def fitted(strokes: Strokes, height: float) -> Strokes:
    """Move strokes to the origin and scale them to a height (or a width, if they are wider than high)."""
    points = np.concatenate(strokes)
    low = points.min(axis=0)
    scale = height / (points.max(axis=0) - low).max()
    return [(stroke - low) * scale for stroke in strokes]


def request(strokes: Strokes, digits: int = 0) -> dict:
    """The same as the page sends it."""
    return {"strokes": [stroke.round(4).tolist() for stroke in strokes], "digits": digits}
