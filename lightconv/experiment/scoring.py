"""What a trained classifier is worth: accuracy and loss on samples it has not seen, and which it mistakes for what."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lightconv.data.mnist1d import FRESH, FRESH_SEED, MNIST1DData, generate
from lightconv.data.mnist100 import MNIST100Data
from lightconv.data.module import InMemoryData
from lightconv.data.scoring import fresh_pairs
from lightconv.tasks import Classifier

MISTAKES = 24


def score(classifier: Classifier, data: InMemoryData) -> dict[str, dict[str, Any]]:
    """Figures on the test set, for MNIST-1D on fresh signals too, for MNIST-100 on fresh pairs of its digits.

    Returns:
        for ``"test"`` and perhaps ``"fresh"``: number of ``samples``, ``accuracy`` (0 to 1), ``loss``; for ``"test"``
        also ``confusion``, for each place of the number (tens and units, or only units) counts of what was right by
        what was said; and the ``mistakes`` that the classifier was surest of: ``index`` in the test set, ``label``,
        ``said``, ``probability``.
    """
    x, y = data.part("test")
    chances = log_probabilities(classifier, x)
    scores = {"test": {**_figures(chances, y), "confusion": confusion(chances.argmax(1), y, chances.shape[1])}}
    scores["test"]["mistakes"] = mistakes(chances, y)
    if isinstance(data, MNIST1DData) and data.title == "MNIST-1D" and data.variant == "ordered":
        x, y = generate(FRESH, FRESH_SEED)
        scores["fresh"] = _figures(log_probabilities(classifier, x), y)
    elif isinstance(data, MNIST100Data):
        x, y = fresh_pairs(x, y)
        scores["fresh"] = _figures(log_probabilities(classifier, x), y)
    return scores


@torch.inference_mode()
def log_probabilities(classifier: Classifier, x: Tensor, batch_size: int = 256) -> Tensor:
    """Logarithms of the probabilities (N, classes) for raw input."""
    device, training = next(classifier.parameters()).device, classifier.training
    classifier.eval()
    found = [classifier(classifier.preprocess(some.to(device))).log_softmax(1).cpu() for some in x.split(batch_size)]
    classifier.train(training)
    return torch.cat(found)


def confusion(said: Tensor, right: Tensor, classes: int) -> dict[str, list[list[int]]]:
    """How often which digit (row) was taken for which (column), for each place of the number.

    >>> confusion(torch.tensor([3, 5]), torch.tensor([3, 3]), classes=10)["units"][3]
    [0, 0, 0, 1, 0, 1, 0, 0, 0, 0]
    """
    places = {"tens": 10, "units": 1} if classes == 100 else {"units": 1}
    return {
        place: torch.bincount(right // value % 10 * 10 + said // value % 10, minlength=100).reshape(10, 10).tolist()
        for place, value in places.items()
    }


def mistakes(log_probabilities: Tensor, right: Tensor, count: int = MISTAKES) -> list[dict[str, Any]]:
    """The wrong answers that were given with the highest probability, the surest first."""
    likeliest = log_probabilities.max(1)
    wrong = (likeliest.indices != right).nonzero().flatten()
    surest = wrong[likeliest.values[wrong].argsort(descending=True, stable=True)][:count]
    return [
        {
            "index": index,
            "label": int(right[index]),
            "said": int(likeliest.indices[index]),
            "probability": round(float(likeliest.values[index].exp()), 4),
        }
        for index in surest.tolist()
    ]


def _figures(log_probabilities: Tensor, y: Tensor) -> dict[str, Any]:
    return {
        "samples": len(y),
        "accuracy": float((log_probabilities.argmax(1) == y).double().mean()),
        "loss": float(F.nll_loss(log_probabilities, y)),
    }
