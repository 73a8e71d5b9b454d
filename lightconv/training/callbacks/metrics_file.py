"""The run's figures as a table."""

import csv
import io
import math
import time
from pathlib import Path

import numpy as np
from lightning.pytorch import LightningModule, Trainer

from lightconv.files import beside
from lightconv.training.callbacks.after_failure import after
from lightconv.training.callbacks.history import History

METRICS = "metrics.csv"


class MetricsFile(History):
    """Keeps ``metrics.csv``: one line an epoch, one column a metric.

    Epochs count from 1. The file is rewritten (beside, then renamed) after each epoch, but not more often than
    every ``interval`` seconds, and when fitting ends, by an error too.

    Args:
        path: of the file; by default ``metrics.csv`` in the Trainer's ``log_dir``.
        interval: seconds.
    """

    def __init__(self, path: str | Path | None = None, interval: float = 1.0) -> None:
        super().__init__()
        self.path = None if path is None else Path(path)
        self.interval = interval
        self._written = -math.inf

    def epoch_complete(self, trainer: Trainer) -> None:
        """Write all rows, unless that was done a moment ago."""
        if time.monotonic() - self._written >= self.interval:
            self._write(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write all rows."""
        self._written = -math.inf
        super().on_fit_end(trainer, pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write the rows of the epochs that are complete."""
        if self.rows and trainer.is_global_zero:
            after(exception, lambda: self._write(trainer))

    def _write(self, trainer: Trainer) -> None:
        if getattr(trainer, "fast_dev_run", False):
            return
        self._written = time.monotonic()
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
