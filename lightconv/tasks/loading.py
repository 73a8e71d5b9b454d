"""From a checkpoint back to its classifier."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from lightconv.errors import UsageError
from lightconv.tasks.classifier import Classifier
from lightconv.tasks.mnist import MNISTClassifier
from lightconv.tasks.mnist1d import MNIST1DClassifier
from lightconv.tasks.mnist100 import MNIST100Classifier

BEST = "best.ckpt"
TASKS: dict[str, type[Classifier]] = {
    task.task: task for task in (MNIST1DClassifier, MNISTClassifier, MNIST100Classifier)
}


def load(path: str | Path) -> Classifier:
    """The classifier that a checkpoint of ours holds, in eval mode, on the CPU.

    Args:
        path: a ``.ckpt`` file that ``fit`` has written, or the folder of a run, whose ``best.ckpt`` is meant. It is
            read without unpickling objects.

    Raises:
        UsageError: if there is no such file, it is damaged, or it comes from elsewhere.
    """
    checkpoint = read_checkpoint(path)
    try:
        classifier = task_class(checkpoint)(**checkpoint["hyper_parameters"])
        classifier.load_state_dict(checkpoint["state_dict"])
    except (RuntimeError, TypeError, ValueError) as error:
        raise UsageError(
            f"Expected a checkpoint of this version's classifiers, but {str(path)!r} holds other parameters "
            f"({str(error).splitlines()[0]})."
        ) from error
    classifier.on_load_checkpoint(checkpoint)
    return classifier.eval()


def task_class(checkpoint: dict[str, Any]) -> type[Classifier]:
    """The class of classifier that a checkpoint belongs to."""
    return TASKS[checkpoint["provenance"]["task"]]


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The contents of a checkpoint of ours.

    Raises:
        UsageError: if there is no such file, it is damaged, or it comes from elsewhere.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        path = path / BEST
    if not path.is_file():
        raise UsageError(f"Expected a checkpoint file, but there is none at {str(path)!r}; train one with `fit`.")
    try:
        with zipfile.ZipFile(path) as file:
            if damaged := file.testzip():
                raise zipfile.BadZipFile(damaged)  # torch.load itself does not look at the checksums
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # There are as many exceptions as kinds of damage: zip, pickle, end of file, key, ...
        raise UsageError(
            f"Expected a checkpoint that `fit` has written, but {str(path)!r} cannot be read; it is damaged or "
            "another kind of file."
        ) from error
    if not _is_ours(checkpoint):
        raise UsageError(
            f"Expected a checkpoint of a lightconv classifier, but {str(path)!r} comes from something else; "
            f"known tasks are {', '.join(TASKS)}."
        )
    return checkpoint


def _is_ours(checkpoint: Any) -> bool:
    if not isinstance(checkpoint, dict):
        return False
    provenance = checkpoint.get("provenance")
    return (
        isinstance(provenance, dict)
        and provenance.get("task") in TASKS
        and isinstance(checkpoint.get("hyper_parameters"), dict)
        and isinstance(checkpoint.get("state_dict"), dict)
    )
