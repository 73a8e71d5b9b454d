from pathlib import Path

import pytest
import torch
from torch import Tensor

from lightconv.data import MNIST1DData, score
from lightconv.data.pairs import split_pairs
from lightconv.data.scoring import accuracy, evaluation_sets
from lightconv.errors import UsageError


class Always:
    """Calls everything a 3."""

    task = "mnist1d"

    def preprocess(self, raw: Tensor) -> Tensor:
        return raw

    def __call__(self, x: Tensor) -> Tensor:
        return torch.eye(10)[3].expand(len(x), 10)


def test_scores_of_a_constant_classifier(root: Path):
    scores = score(Always(), str(root))
    test = MNIST1DData(root=str(root)).part("test")[1]
    assert scores["test"] == {"samples": 1000, "accuracy": float((test == 3).sum()) / 1000}
    assert scores["fresh"]["samples"] == 10_000
    assert scores["fresh"]["accuracy"] == pytest.approx(0.1)
    assert isinstance(scores["fresh"]["seed"], int)


def test_accuracy_counts_over_batches():
    x, y = torch.zeros(7, 1, 40), torch.tensor([3, 3, 0, 3, 1, 3, 3])
    assert accuracy(Always(), x, y, batch_size=2) == pytest.approx(5 / 7)


def test_pictures_are_scored_on_the_variant_trained_on(tmp_path: Path):
    ((name, (facts, x, y)),) = evaluation_sets("mnist", str(tmp_path), {"variant": "digits"}).items()
    assert name == "test"
    assert "not MNIST" in facts["data"]
    assert x.shape == (len(y), 1, 28, 28)


def test_numbers_are_scored_on_fresh_pairs_of_the_test_set_s_digits_too(tmp_path: Path):
    sets = evaluation_sets("mnist100", str(tmp_path), {"variant": "digits"})
    assert list(sets) == ["test", "fresh"]
    assert "not MNIST" in sets["test"][0]["data"]
    assert isinstance(sets["fresh"][0]["seed"], int)
    digits, known = {}, {}
    for name, (_, x, y) in sets.items():
        assert x.shape == (len(y), 1, 28, 56)
        halves, labels = split_pairs(x, y)
        digits[name] = dict(zip((half.numpy().tobytes() for half in halves), labels.tolist(), strict=True))
        known[name] = {picture.numpy().tobytes() for picture in x}
    assert digits["fresh"] == digits["test"]
    assert len(sets["fresh"][2]) == 20_000
    assert len(known["fresh"] & known["test"]) < len(known["test"]) / 2


def test_data_of_ones_own_are_not_taken_for_ours(tmp_path: Path):
    with pytest.raises(UsageError, match=r"from Mine; .*--no_scores"):
        evaluation_sets("mnist", str(tmp_path), {"name": "Mine"})


def test_unknown_task():
    with pytest.raises(ValueError, match="tea"):
        evaluation_sets("tea")
