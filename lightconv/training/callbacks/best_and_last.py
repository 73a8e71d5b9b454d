"""Two checkpoints a run: the best epoch's and the last one's."""

import math
import os
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from lightconv.files import Unwritable
from lightconv.tasks.loading import BEST

LAST = "last.ckpt"


class BestAndLast(Checkpoint):
    """Writes ``last.ckpt`` after every epoch, and ``best.ckpt`` when the epoch was at least as good as all before.

    Of equally good epochs the latest is kept. A checkpoint is written beside its place, flushed to the disk and
    renamed, so whenever the process dies, ``last.ckpt`` is the state at the end of some epoch. Neither file holds
    a path, so a run folder may be moved.

    Args:
        folder: where to; by default the Trainer's ``log_dir``.
        monitor: the logged metric to judge by; in runs that do not log it, the last epoch counts as the best.
        mode: ``"max"`` or ``"min"``.
    """

    def __init__(self, folder: str | Path | None = None, monitor: str = "val_accuracy", mode: str = "max") -> None:
        if mode not in ("max", "min"):
            raise ValueError(f'Expected `mode` to be "max" or "min", but got {mode!r}.')
        self.folder = None if folder is None else Path(folder)
        self.monitor = monitor
        self.sign = 1 if mode == "max" else -1
        self.best_score: float | None = None
        self.best_epoch: int | None = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save."""
        if getattr(trainer, "fast_dev_run", False):
            return
        folder = Path(self.folder or trainer.log_dir or ".")
        score = self.sign * float(trainer.callback_metrics.get(self.monitor, math.inf))
        improved = self.best_score is None or score >= self.sign * self.best_score
        if improved:
            self.best_score, self.best_epoch = self.sign * score, trainer.current_epoch
            _save(trainer, folder / BEST)
        # The best one first: if the process dies in between, the epoch is repeated and both are written again.
        _save(trainer, folder / LAST)

    def state_dict(self) -> dict[str, Any]:
        """What has to survive a restart."""
        return {"best_score": self.best_score, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a former run's state."""
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]


def _save(trainer: Trainer, path: Path) -> None:
    # Every process takes part, so the name is one that all know.
    part = path.with_name(f".{path.name}.part")
    try:
        trainer.save_checkpoint(part, weights_only=False)  # that is: optimiser and all
        if trainer.is_global_zero:
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
    except OSError as error:
        raise Unwritable(path, error) from error
    finally:
        if trainer.is_global_zero:
            part.unlink(missing_ok=True)
