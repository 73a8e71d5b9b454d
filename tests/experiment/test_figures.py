"""What is counted and measured."""

import math
from dataclasses import replace

import pytest
import torch

from lightconv.experiment.networks import multiply_adds
from lightconv.experiment.pictures import _apart
from lightconv.experiment.report import kinds
from lightconv.experiment.rows import Row, means
from lightconv.experiment.scoring import confusion, mistakes
from lightconv.experiment.tables import table
from lightconv.tasks import Classifier, MNIST1DClassifier, MNIST100Classifier, MNISTClassifier


@pytest.mark.parametrize(
    ("classifier", "expected"),
    [
        (MNISTClassifier("book"), 10 * 24 * 24 * 25 + 20 * 8 * 8 * 250 + 320 * 50 + 50 * 10),
        (MNIST1DClassifier("book"), 15 * 19 * 3 + 15 * 9 * 45 + 15 * 4 * 45 + 60 * 10),
        (MNIST100Classifier("original"), 10 * 124**2 * 25 + 20 * 58**2 * 250 + 16820 * 50 + 50 * 100),
    ],
)
def test_multiply_adds_by_hand(classifier: Classifier, expected: int):
    assert multiply_adds(classifier.train()) == expected
    assert classifier.training, "as it was"


def test_normalisation_and_pooling_are_not_counted():
    v2, norm = (MNIST100Classifier("v2", network_options={"norm": norm}) for norm in (False, True))
    assert multiply_adds(v2) == multiply_adds(norm)


def test_confusion_by_tens_and_units():
    right, said = torch.tensor([42, 42, 7, 99]), torch.tensor([42, 47, 17, 98])
    counts = confusion(said, right, classes=100)
    tens, units = torch.tensor(counts["tens"]), torch.tensor(counts["units"])
    assert tens.nonzero().tolist() == [[0, 1], [4, 4], [9, 9]]
    assert tens[4, 4] == 2
    assert units.nonzero().tolist() == [[2, 2], [2, 7], [7, 7], [9, 8]]
    assert confusion(said % 10, right % 10, classes=10) == {"units": counts["units"]}


def test_mistakes_come_surest_first():
    chances = torch.tensor([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.2, 0.8]])
    found = mistakes(chances.log(), torch.tensor([1, 1, 1, 0]), count=2)
    assert found == [
        {"index": 0, "label": 1, "said": 0, "probability": 0.9},
        {"index": 3, "label": 0, "said": 1, "probability": 0.8},
    ]


def test_means_over_seeds():
    assert means([[1.0, 2.0], [3.0, 4.0]]) == [2.0, 3.0]
    assert math.isnan(means([[1.0, None]])[1])


def test_labels_are_moved_apart_as_little_as_it_takes():
    assert _apart([0.0, 10.0], 5) == [0.0, 10.0]
    assert _apart([10.0, 0.0, 1.0], 5) == [10.0, -2.0, 3.0]


def row(name: str, losses: list[float | None], followed: str = "val") -> Row:
    return Row(
        part="p", name=name, row=name, level=None, command="", seeds=[1], task="mnist1d", network="tiny",
        network_options={}, parameters=1948, samples={"train": 4000, "test": 1000}, accuracy=[0.5], fresh=[],
        followed=followed, curves={f"{followed}_loss": [losses]}, processor_seconds=[2.0], versions={}, cost={},
    )  # fmt: skip


def test_losses_of_as_many_epochs_and_of_more():
    same = table([row("a", [2.0, 1.0]), row("b", [3.0, None])], ["network", "held-out loss"])
    assert same.heads == ["network", "held-out loss after epoch 1, 2"]
    assert same.cells == [["a", "2.00 1.00"], ["b", "3.00 nan"]]
    other = table([row("a", [2.0, 1.0]), row("b", [float(9 - i) for i in range(9)])], ["network", "held-out loss"])
    assert other.heads == ["network", "held-out loss from the first epoch to the last"]
    assert other.cells == [["a", "2.00 1.00"], ["b", "9.00 7.00 5.00 3.00 1.00"]]


def test_what_is_followed_is_said():
    mixed = table([row("a", [2.0]), row("b", [1.0], "train")], ["loss"])
    assert mixed.cells == [["2.00"], ["1.00 *"]]
    assert "fresh %" not in table([row("a", [2.0])]).heads, "nothing to say"


def test_pictures_that_have_something_to_show():
    a, b = row("a", [2.0]), row("b", [1.0])
    assert kinds([a]) == ["curves"]
    assert kinds([a, replace(b, parameters=a.parameters + 5)]) == ["accuracy", "curves"]
    assert kinds([a, replace(b, parameters=9000)]) == ["accuracy", "parameters", "curves"]
    more = {"train": 8000, "test": 1000}
    assert kinds([a, replace(b, samples=more)]) == ["accuracy", "curves"], "no steps of a sweep"
    assert kinds([replace(a, level="half"), replace(b, level="all", samples=more)]) == ["sweep", "seen", "curves"]
    assert kinds([replace(a, level="SGD"), replace(b, level="AdamW")]) == ["accuracy", "curves"]
