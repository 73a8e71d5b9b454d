"""Learning from finished classifiers, beside the labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from lightconv.errors import UsageError
from lightconv.surgery import fuse
from lightconv.tasks import own_networks
from lightconv.tasks.loading import load

if TYPE_CHECKING:
    from lightconv.tasks.classifier import Classifier

TEMPERATURE = 3.0
SHARE = 0.7


class Teachers:
    """Finished classifiers and what a student learns of them: knowledge distillation.

    A label says which class a picture belongs to, a teacher also which others it resembles. With the teachers' answer
    p, the mean of their log-probabilities, and the student's logits q, the loss is ::

        0.3 cross_entropy(q, label) + 0.7 T**2 KL(softmax(p / T) || softmax(q / T)),    T = 3

    The teachers see what the student sees, displaced and noisy as it is. They are only read, with their layers fused,
    and are no part of the student: neither of its parameters nor of its checkpoint.

    G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network", 2015.

    Args:
        paths: checkpoints, or folders of runs, whose ``best.ckpt`` is meant.
        student: whose task and classes theirs must be.

    Raises:
        UsageError: if a file cannot be read, or is of another task or of other classes.
    """

    def __init__(self, paths: Sequence[str | Path], student: "Classifier") -> None:
        self._classifiers = [_read(path, student) for path in paths]

    def to(self, device: torch.device) -> None:
        """Move them."""
        for classifier in self._classifiers:
            classifier.to(device)

    def loss(self, raw: Tensor, logits: Tensor, loss: Tensor) -> Tensor:
        """What the student minimises.

        Args:
            raw: the batch as the data module yields it.
            logits: the student's, (N, classes).
            loss: its cross entropy with the labels.
        """
        with torch.no_grad():
            answers = [teacher(teacher.preprocess(raw)).log_softmax(1) for teacher in self._classifiers]
            answer = (torch.stack(answers).mean(0) / TEMPERATURE).log_softmax(1)
        divergence = F.kl_div((logits / TEMPERATURE).log_softmax(1), answer, reduction="batchmean", log_target=True)
        return (1 - SHARE) * loss + SHARE * TEMPERATURE**2 * divergence


def _read(path: str | Path, student: "Classifier") -> "Classifier":
    own = student.hparams["network"]
    teacher = load(path, str(own_networks.source(own)) if own_networks.is_own(own) else None)
    if teacher.task != student.task or teacher.class_names != student.class_names:
        raise UsageError(
            f"Expected `teachers` that tell apart what {type(student).__name__} does, {len(student.class_names)} "
            f"classes of {student.task}, but {str(path)!r} tells apart {len(teacher.class_names)} of {teacher.task}."
        )
    teacher.network = fuse(teacher.network)
    return teacher.requires_grad_(False)
