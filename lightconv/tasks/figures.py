"""The figures of an epoch, summed up batch by batch."""

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy


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

    def update(self, loss: Tensor, samples: int) -> None:
        """Count a batch of so many samples."""
        self.total += loss * samples
        self.count += samples

    def compute(self) -> Tensor:
        """The mean."""
        return self.total / self.count


class Figures(nn.Module):
    """Mean loss and micro accuracy over the batches of an epoch, and over all processes.

    Args:
        stage: ``"train"``, ``"val"`` or ``"test"``, the beginning of the figures' names.
        classes: their number.
    """

    def __init__(self, stage: str, classes: int) -> None:
        super().__init__()
        self.stage = stage
        self.loss = MeanLoss()
        self.accuracy = MulticlassAccuracy(classes, average="micro", validate_args=False)

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch, given its mean loss, logits (N, classes) and labels (N,)."""
        self.loss.update(loss, len(labels))
        self.accuracy.update(logits, labels)

    def compute(self) -> dict[str, Tensor]:
        """The figures by name; counting begins anew."""
        figures = {f"{self.stage}_loss": self.loss.compute(), f"{self.stage}_accuracy": self.accuracy.compute()}
        self.loss.reset()
        self.accuracy.reset()
        return figures
