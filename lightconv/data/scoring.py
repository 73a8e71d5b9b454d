"""How good a finished classifier is: its accuracy on the test set, and on what nobody has seen."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from lightconv.data.mnist import MNISTData
from lightconv.data.mnist1d import FRESH, FRESH_SEED, MNIST1DData, generate
from lightconv.data.mnist100 import MNIST100Data
from lightconv.data.pairs import compose_pairs, split_pairs
from lightconv.errors import UsageError

FRESH_PAIRS = 20_000


class Scorable(Protocol):
    """What :func:`score` needs of a classifier."""

    task: str

    def preprocess(self, raw: Tensor) -> Tensor:
        """Raw input to network input."""

    def __call__(self, x: Tensor) -> Tensor:
        """Network input to logits."""


def evaluation_sets(
    task: str, root: str | None = None, trained_on: Mapping[str, Any] | None = None
) -> dict[str, tuple[dict[str, Any], Tensor, Tensor]]:
    """What a task's classifiers are scored on: name to (facts about it, raw inputs, labels).

    `trained_on` describes the training data, as a checkpoint's provenance does: the test set is of the same variant,
    so that a classifier of scikit-learn's digits is not taken for one of MNIST.

    Raises:
        UsageError: if it was trained on data of another class than ours.
    """
    kinds = (MNIST1DData, MNISTData, MNIST100Data)
    name = (trained_on or {}).get("name")
    if name is not None and name not in [kind.__name__ for kind in kinds]:
        raise UsageError(
            f"Expected a classifier of data that come with lightconv, whose test sets are known, but this one learned "
            f"from {name}; `lightconv test` scores it, and `lightconv export --no_scores` exports it."
        )
    if task == "mnist1d":
        return {
            "test": ({}, *MNIST1DData(root).part("test")),
            "fresh": ({"seed": FRESH_SEED}, *generate(FRESH, FRESH_SEED)),
        }
    pictures = {"mnist": MNISTData, "mnist100": MNIST100Data}
    if task in pictures:
        data = pictures[task](root, variant=(trained_on or {}).get("variant", "mnist"))
        facts, (x, y) = {"data": data.title}, data.part("test")
        if task == "mnist":
            return {"test": (facts, x, y)}
        return {"test": (facts, x, y), "fresh": ({"seed": FRESH_SEED}, *fresh_pairs(x, y))}
    raise ValueError(f"Expected a task with evaluation sets, but got {task!r}.")


def fresh_pairs(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """20,000 pictures composed anew of the halves of pictures of two digits, (N, 1, H, 2 W), and their labels."""
    halves, digits = split_pairs(x, y)
    pictures, labels = compose_pairs(halves.numpy(), digits.numpy(), FRESH_PAIRS, FRESH_SEED)
    return torch.from_numpy(pictures), torch.from_numpy(labels)


def score(classifier: Scorable, root: str | None = None) -> dict[str, dict[str, Any]]:
    """Accuracy of a classifier on each of its task's evaluation sets.

    For MNIST-1D: ``test``, the 1,000 signals of the default data set, and ``fresh``, 10,000 signals generated with
    another seed. For MNIST and MNIST-100: ``test``, the test set of the variant that it was trained on. For
    MNIST-100 also ``fresh``, 20,000 pictures composed anew of the halves of the test set's.

    Args:
        classifier: in eval mode.
        root: folder for cached data, as in the data modules.

    Returns:
        for each set ``{"samples": ..., "accuracy": ...}`` (the accuracy from 0 to 1), and the seed of generated
        ones.
    """
    trained_on = getattr(classifier, "provenance", {}).get("data")
    return {
        name: {**facts, "samples": len(y), "accuracy": accuracy(classifier, x, y)}
        for name, (facts, x, y) in evaluation_sets(classifier.task, root, trained_on).items()
    }


@torch.inference_mode()
def accuracy(classifier: Scorable, x: Tensor, y: Tensor, batch_size: int = 500) -> float:
    """Share of raw inputs ``x`` (N, ...) whose largest logit is that of their label in ``y`` (N,)."""
    right = sum(
        int((classifier(classifier.preprocess(some)).argmax(1) == labels).sum())
        for some, labels in zip(x.split(batch_size), y.split(batch_size), strict=True)
    )
    return right / len(y)
