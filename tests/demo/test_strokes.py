"""Strokes become pictures like MNIST's, wherever and however large they are drawn."""

import numpy as np
import pytest

from demo.hand import DIGITS, drawn, fitted
from lightconv.demo.strokes import count, picture, split


def line(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, float)


ONE = [line((0.5, 0.1), (0.5, 0.9))]
FOUR = [line((0.5, 0.1), (0.2, 0.6), (0.8, 0.6)), line((0.65, 0.4), (0.65, 0.9))]
OPEN_FOUR = [line((0.2, 0.1), (0.2, 0.5), (0.6, 0.5)), line((0.6, 0.1), (0.6, 0.9))]
FIVE = [line((0.4, 0.1), (0.4, 0.5), (0.7, 0.6), (0.7, 0.9), (0.3, 0.9)), line((0.4, 0.1), (0.8, 0.12))]


def moved(strokes: list[np.ndarray], x: float) -> list[np.ndarray]:
    return [stroke + np.array([x, 0]) for stroke in strokes]


@pytest.mark.parametrize("digit", range(10))
def test_a_picture_follows_the_conventions_of_mnist(digit: int):
    seen = picture(drawn(str(digit)), 1)
    assert (seen.dtype, seen.shape, seen.max()) == (np.uint8, (28, 28), 255)
    rows, columns = np.flatnonzero((seen > 64).any(1)), np.flatnonzero((seen > 64).any(0))
    assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21
    weights = seen / seen.sum()
    assert abs(weights.sum(1) @ np.arange(28) - 13.5) <= 1.01
    assert abs(weights.sum(0) @ np.arange(28) - 13.5) <= 1.01


def test_size_and_place_on_the_canvas_do_not_matter():
    strokes = [np.array(stroke) / 1000 for stroke in DIGITS[3][0]]
    pictures = [
        picture([stroke + np.array(corner) for stroke in fitted(strokes, height)], 1)
        for height, corner in [(0.9, (0, 0)), (0.2, (1.6, 0.7))]
    ]
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() < 8


def test_there_is_as_much_ink_as_in_mnist():
    pictures = np.stack([picture(drawn(str(d), k), 1) for d in DIGITS for k in range(10)])
    assert pictures.mean() / 255 == pytest.approx(0.131, abs=0.01)  # MNIST's mean is 0.131


@pytest.mark.parametrize(
    ("strokes", "digits"),
    [
        ([], 1),
        (ONE, 1),
        (FOUR, 0),  # its right stroke stands by itself
        (FIVE, 1),
        (OPEN_FOUR, 0),
        (ONE + moved(ONE, 0.2), 2),
        (FOUR + moved(FIVE, 0.7), 2),
        (moved(FOUR, 0.4) + FIVE[:1], 0),  # they touch
        ([*ONE, line((1.5, 0.5), (1.51, 0.51))], 1),  # a speck
        ([line((0.1, 0.5), (1.9, 0.6))], 0),  # as wide as no digit is
    ],
    ids=["none", "1", "4", "5", "open-4", "11", "45", "touching", "speck", "wide"],
)
def test_how_many_digits_there_are(strokes: list[np.ndarray], digits: int):
    assert count(strokes) == digits


def test_the_order_of_the_strokes_does_not_matter():
    (left, right) = split([FIVE[1] + [0.7, 0], FOUR[1], FIVE[0] + [0.7, 0], FOUR[0]])
    assert sorted(s[:, 0].min() for s in left) == [0.2, 0.65]
    assert sorted(round(s[:, 0].min(), 3) for s in right) == [1.0, 1.1]


def test_two_digits_stand_side_by_side():
    seen = picture([*FOUR, *moved(ONE, 0.8)], 2)
    assert seen.shape == (28, 56)
    np.testing.assert_array_equal(seen[:, :28], picture(FOUR, 1))
    np.testing.assert_array_equal(seen[:, 28:], picture(ONE, 1))


def test_two_digits_in_one_stroke_are_cut_apart():
    seen = picture([line((0.3, 0.1), (0.3, 0.9), (1.0, 0.85), (1.0, 0.1))], 2)
    assert seen.shape == (28, 56)
    assert min(seen[:, :28].sum(), seen[:, 28:].sum()) > 20 * 255


@pytest.mark.parametrize("digits", [1, 2])
@pytest.mark.parametrize("strokes", [[], [line((1, 0.5))], [line((1, 0.5), (1.01, 0.5))]], ids=["none", "dot", "speck"])
def test_no_more_than_a_speck_is_black_all_over(strokes: list[np.ndarray], digits: int):
    seen = picture(strokes, digits)
    assert seen.shape == (28, 28 * digits)
    assert not seen.any()
