"""The run's figures as a table."""

import csv
import io
from pathlib import Path

import numpy as np
from lightning.pytorch import Trainer

from lightconv.files import beside
from lightconv.training.callbacks.history import History

METRICS = "metrics.csv"


class MetricsFile(History):
    """Keeps ``metrics.csv``: one line an epoch, one column a metric, rewritten (beside, then renamed) each epoch.

    Epochs count from 1.

    Args:
        path: of the file; by default ``metrics.csv`` in the Trainer's ``log_dir``.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        super().__init__()
        self.path = None if path is None else Path(path)

    def epoch_complete(self, trainer: Trainer) -> None:
        """Write all rows."""
        if getattr(trainer, "fast_dev_run", False):
            return
        path = self.path or Path(trainer.log_dir or ".") / METRICS
        names = sorted({name for row in self.rows.values() for name in row})
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, ["epoch", *names])
        table.writeheader()
        for epoch, row in sorted(self.rows.items()):
            # Metrics are float32: their shortest form, 0.8525 and not 0.8525000214576721.
            table.writerow({"epoch": epoch + 1, **{name: str(np.float32(row[name])) for name in row}})
        with beside(path) as file:
            file.write(text.getvalue().encode())
