"""Two checkpoints a run: the best epoch's and the last one's."""

import copy
import io
import math
import time
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from lightconv.files import beside
from lightconv.tasks.loading import BEST
from lightconv.training.callbacks.after_failure import after

LAST = "last.ckpt"
_PLAIN = (str, int, float, bool, type(None))


class BestAndLast(Checkpoint):
    """Keeps ``last.ckpt``, the end of the last epoch, and ``best.ckpt``, the latest epoch as good as all before.

    A checkpoint is written beside its place, flushed to the disk and renamed, so whenever the process dies,
    ``last.ckpt`` is the whole state at the end of some epoch. Where epochs take less than ``interval`` they share a
    write; when training ends, is interrupted or fails, what is not on the disk yet is written. Neither file holds
    a path, so a run folder may be moved.

    Args:
        folder: where to; by default the Trainer's ``log_dir``.
        monitor: the logged metric to judge by; in runs that do not log it, the last epoch counts as the best.
        mode: ``"max"`` or ``"min"``.
        interval: seconds between two writes, at least.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        monitor: str = "val_accuracy",
        mode: str = "max",
        interval: float = 1.0,
    ) -> None:
        if mode not in ("max", "min"):
            raise ValueError(f'Expected `mode` to be "max" or "min", but got {mode!r}.')
        self.folder = None if folder is None else Path(folder)
        self.monitor = monitor
        self.sign = 1 if mode == "max" else -1
        self.interval = interval
        self.best_score: float | None = None
        self.best_epoch: int | None = None
        self._unwritten: dict[str, dict[str, Any]] = {}
        self._written = -math.inf

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save."""
        if getattr(trainer, "fast_dev_run", False):
            return
        score = self.sign * float(trainer.callback_metrics.get(self.monitor, math.inf))
        improved = self.best_score is None or score >= self.sign * self.best_score
        if improved:
            self.best_score, self.best_epoch = self.sign * score, trainer.current_epoch
        content = _checkpoint(trainer)
        if not trainer.is_global_zero:
            return
        self._unwritten |= {BEST: content, LAST: content} if improved else {LAST: content}
        if time.monotonic() - self._written >= self.interval:
            self._write(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what is left."""
        self._write(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write what is left."""
        after(exception, lambda: self._write(trainer))

    def state_dict(self) -> dict[str, Any]:
        """What has to survive a restart."""
        return {"best_score": self.best_score, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a former run's state."""
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]

    def _write(self, trainer: Trainer) -> None:
        folder = Path(self.folder or trainer.log_dir or ".")
        # The best one first: if the process dies in between, the epoch is repeated and both are written again.
        for name in (BEST, LAST):
            if name in self._unwritten:
                content = _packed(self._unwritten[name])
                with beside(folder / name) as file:
                    file.write(content)
                del self._unwritten[name]
        self._written = time.monotonic()


class _Memory(CheckpointIO):
    """Takes a checkpoint instead of writing it."""

    content: dict[str, Any]

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        self.content = _frozen(checkpoint)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        raise NotImplementedError

    def remove_checkpoint(self, path: Any) -> None:
        raise NotImplementedError


def _checkpoint(trainer: Trainer) -> dict[str, Any]:
    """The Trainer's checkpoint, optimiser and all, as it is now; empty on all processes but the first."""
    files, memory = trainer.strategy.checkpoint_io, _Memory()
    memory.content = {}
    trainer.strategy.checkpoint_io = memory
    try:
        trainer.save_checkpoint("", weights_only=False)
    finally:
        trainer.strategy.checkpoint_io = files
    return memory.content


def _frozen(thing: Any) -> Any:
    """A copy that does not change while training goes on."""
    if isinstance(thing, torch.Tensor):
        return thing.detach().clone()
    if isinstance(thing, dict):
        result = copy.copy(thing)
        result.update((key, _frozen(value)) for key, value in thing.items())
        return result
    if type(thing) in (list, tuple):
        return type(thing)(map(_frozen, thing))
    return thing if type(thing) in _PLAIN else copy.deepcopy(thing)


def _packed(checkpoint: dict[str, Any]) -> bytes:
    # In memory: torch reports a full disk as an error of its own kind.
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return buffer.getvalue()
