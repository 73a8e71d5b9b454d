"""What a training step will hold in memory, told before the first one."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightconv.training.memory.budget import MemoryBudget
from lightconv.training.memory.predict import Rehearsal
from lightconv.training.memory.say import say


class MemorySummary(Callback):
    """Prints the predicted peak of a training step, by what the memory is for, before the first step.

    See :func:`~lightconv.training.memory.predict_peak`. A :class:`MemoryBudget` says it instead, if there is one.
    """

    def __init__(self) -> None:
        self._done = False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Rehearse the step with the first batch."""
        others: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        if self._done or not trainer.is_global_zero or any(isinstance(c, MemoryBudget) for c in others):
            return
        self._done = True
        try:
            optimizer = trainer.optimizers[0] if trainer.optimizers else None
            context = trainer.strategy.precision_plugin.train_step_context
            peak = Rehearsal(pl_module, batch, optimizer=optimizer, context=context).peak()
        except Exception as error:  # whatever a module may do with tensors that have no contents
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            say(trainer, f"Peak of a training step: not predictable ({reason})")
        else:
            say(trainer, f"Peak of a training step, predicted: {peak}")
