"""The figures of an epoch: noted batch by batch, counted once."""

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix


class MeanLoss(Metric):
    """Mean over all samples of losses that are means over batches, of different sizes perhaps.

    Unlike torchmetrics' MeanMetric it lets NaN through: a loss that is not a number must be seen.
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, losses: Tensor, samples: Tensor) -> None:
        """Count batches, given the mean loss and the size of each."""
        self.total += (losses * samples).sum()
        self.count += samples.sum()

    def compute(self) -> Tensor:
        """The mean."""
        return self.total / self.count


class Figures(nn.Module):
    """Mean loss, accuracies and confusion matrix of all batches of an epoch, and of all processes.

    A batch is only noted: its loss, its labels and what was predicted, on their device. torchmetrics counts once an
    epoch, so that a small network's step is not slower for being measured.

    Args:
        stage: ``"train"``, ``"val"`` or ``"test"``, the beginning of the figures' names.
        classes: their number.
        digits: names of the decimal digits that a class consists of, if the accuracy of each is wanted.
        detailed: whether to count digits and classes apart, and what is taken for what.
    """

    def __init__(self, stage: str, classes: int, digits: Sequence[str] = (), detailed: bool = False) -> None:
        super().__init__()
        self.stage = stage
        self.loss = MeanLoss()
        self.metrics = nn.ModuleDict({"accuracy": _accuracy(classes)})
        self.places: dict[str, int] = {}
        if detailed:
            self.metrics["class_accuracy"] = _accuracy(classes, average="none")
            self.metrics["confusion"] = MulticlassConfusionMatrix(classes, validate_args=False)
            self.places = {f"{name}_accuracy": 10**place for place, name in enumerate(reversed(digits))}
            self.metrics.update({name: _accuracy(10) for name in self.places})
        self.details: dict[str, Tensor] = {}
        self._noted: list[tuple[Tensor, Tensor, Tensor]] = []

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Note a batch, given its mean loss, logits (N, classes) and labels (N,)."""
        self._noted.append((loss, logits.argmax(1), labels))

    def reset(self) -> None:
        """Forget what was noted, of an epoch that was broken off perhaps."""
        self._noted = []

    def compute(self) -> dict[str, Tensor]:
        """The figures by name, each one number; counting begins anew.

        What consists of many numbers is in ``details`` afterwards: ``class_accuracy`` (classes,), and ``confusion``
        (classes, classes), whose rows are the labels and whose columns what was predicted.
        """
        if self._noted:
            losses, predicted, labels = zip(*self._noted, strict=True)
            sizes = torch.tensor([len(some) for some in labels], device=losses[0].device)
            self.loss.update(torch.stack(losses), sizes)
            self._count(torch.cat(predicted), torch.cat(labels))
        counted = self._counted
        figures = {name: metric.compute() for name, metric in counted.items()}
        figures["loss"] = self.loss.compute()
        for metric in (self.loss, *counted.values()):
            metric.reset()
        self.reset()
        self.details = {name: value for name, value in figures.items() if value.dim()}
        return {f"{self.stage}_{name}": value for name, value in figures.items() if not value.dim()}

    @property
    def _counted(self) -> dict[str, Metric]:
        return cast(dict[str, Metric], dict(self.metrics.items()))

    def _count(self, predicted: Tensor, labels: Tensor) -> None:
        for name, metric in self._counted.items():
            place = self.places.get(name)
            if place is None:
                metric.update(predicted, labels)
            else:
                metric.update(predicted // place % 10, labels // place % 10)


def _accuracy(classes: int, average: Literal["micro", "none"] = "micro") -> MulticlassAccuracy:
    return MulticlassAccuracy(classes, average=average, validate_args=False)
