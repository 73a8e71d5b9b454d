"""The figures of an epoch, summed up batch by batch."""

from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy


class Figures(nn.Module):
    """Mean loss and micro accuracy over the batches of an epoch, and over all processes.

    Args:
        stage: ``"train"``, ``"val"`` or ``"test"``, the beginning of the figures' names.
        classes: their number.
    """

    def __init__(self, stage: str, classes: int) -> None:
        super().__init__()
        self.stage = stage
        self.loss = MeanMetric(nan_strategy="disable")
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
