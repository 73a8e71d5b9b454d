"""A trained classifier as one file that takes raw input, with a card that says what it is."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lightconv.deploy.card import card_path, describe, metadata
from lightconv.deploy.files import ExportError, Staged, publish_pair
from lightconv.deploy.onnx import ExportReport, write_onnx

if TYPE_CHECKING:
    from lightconv.tasks import Classifier

__all__ = ["check_place", "export_onnx"]

# Probabilities agree to this, whatever the network: the promise to whoever runs the file.
TOLERANCE = 1e-5


def export_onnx(
    classifier: "Classifier",
    path: str | os.PathLike[str],
    *,
    samples: Tensor | np.ndarray | None = None,
    scores: Mapping[str, Any] | None = None,
) -> ExportReport:
    """Write a classifier as NAME.onnx and a card NAME.json beside it.

    The graph takes raw input, `signal` float32 (N, 40) or `image` uint8 (N, H, W), for any N, and gives
    `probabilities` float32 (N, classes) and `label` int64 (N): pre-processing, softmax and argmax are inside.
    Its metadata hold the class names, task, network, number of parameters, scores and provenance; it says
    nothing about the machine or the time, so that equal classifiers give equal bytes. The card says the same
    for people and programs, with the file's SHA-256, size and date. The files appear after the comparison with
    the classifier in onnxruntime (probabilities within 1e-5); if anything fails, older ones stay. A crash may
    leave a model without a card, but never the card of another model.

    Args:
        classifier: one of `lightconv.tasks`.
        path: the file to write, ending in ".onnx".
        samples: raw input on which to compare as well; random input is always tried.
        scores: what it has been measured at, for instance what `lightconv.data.scoring.score` returns.

    Raises:
        ExportError: (a ValueError) if the file cannot be written or the classifier not be expressed.
        VerificationError: (a RuntimeError) if onnxruntime does not compute the same.
    """
    if not hasattr(classifier, "raw_shape"):
        raise ExportError(
            f"Expected one of lightconv's classifiers to export, but got {type(classifier).__name__}; export other "
            "modules with lightconv.deploy.to_onnx."
        )
    check_place(path)
    with Staged(path) as file, Staged(card_path(path)) as card:
        shape = tuple(classifier.raw_shape)
        device = next(classifier.parameters()).device
        raw = _random_input(classifier.input_name, shape).to(device)
        cases = [] if samples is None else [(_raw_input(samples, raw).to(device),)]
        report = write_onnx(
            Deployed(classifier),
            (raw,),
            file,
            input_names=[classifier.input_name],
            output_names=["probabilities", "label"],
            metadata=metadata(_facts(classifier, scores)),
            cases=cases,
            tolerance=lambda expected: TOLERANCE,
        )
        text = describe(
            file.temporary.read_bytes(),
            file.path.name,
            largest_difference_from_pytorch=report.largest_difference,
            torch_version=str(torch.__version__),
        )
        card.write(text.encode())
        publish_pair(file, card)
    return report


def check_place(path: str | os.PathLike[str]) -> None:
    """Raise ExportError if a model and its card could not be written there."""
    if Path(path).suffix != ".onnx":
        raise ExportError(f"Expected the name of an .onnx file to write, but got {path}.")
    with Staged(path), Staged(card_path(path)):
        pass


class Deployed(nn.Module):
    """From raw input to what a user wants to know."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        classifier: Any = self.classifier
        probabilities = classifier(classifier.preprocess(raw)).softmax(dim=1)
        return probabilities, probabilities.argmax(dim=1)


def _random_input(name: str, shape: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if name == "image":
        return torch.randint(256, (2, *shape), generator=generator, dtype=torch.uint8)
    return torch.randn((2, *shape), generator=generator)


def _raw_input(samples: Tensor | np.ndarray, like: Tensor) -> Tensor:
    """Samples as (N, *shape) in the dtype of the graph's input; a channel axis is dropped."""
    raw = torch.as_tensor(samples)
    if raw.dim() == like.dim() + 1 and raw.shape[1] == 1:
        raw = raw.squeeze(1)
    if raw.shape[1:] != like.shape[1:] or raw.dim() != like.dim() or len(raw) == 0:
        raise ExportError(
            f"Expected `samples` of shape (N, {', '.join(map(str, like.shape[1:]))}), but got {tuple(raw.shape)}."
        )
    return raw.to(like.dtype)


def _facts(classifier: Any, scores: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the file says about itself."""
    import lightconv
    from lightconv.tasks.own_networks import network_name

    recipe = {key: value for key, value in sorted(dict(classifier.hparams).items()) if key != "network"}
    if teachers := recipe.pop("teachers", None):
        recipe["teachers"] = len(teachers)  # where they lie is of this machine
    return {
        "task": classifier.task,
        "network": network_name(classifier.hparams.network),
        "class_names": list(classifier.class_names),
        "parameters": sum(parameter.numel() for parameter in classifier.parameters()),
        "scores": dict(scores or {}),
        "recipe": recipe,
        "provenance": dict(getattr(classifier, "provenance", {})),
        "lightconv_version": lightconv.__version__,
    }
