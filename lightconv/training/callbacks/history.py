"""One row of metrics an epoch, which survives a restart."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

Rows = dict[int, dict[str, float]]


class History(Callback):
    """Collects what was logged in each epoch: ``rows[epoch][name]``.

    It is part of every checkpoint, so after a restart the rows up to that checkpoint are there again. A subclass
    overrides :meth:`epoch_complete`.
    """

    def __init__(self) -> None:
        self.rows: Rows = {}
        self._epoch: int | None = None
        self._validated = False

    def epoch_complete(self, trainer: Trainer) -> None:
        """Use the rows; called on the first process when all of an epoch has been logged, and when fitting ends.

        The latter also where there was nothing left to do: a run may have died after its last checkpoint.
        """

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Complete the epoch before: Lightning has no later hook that belongs to it."""
        self._complete(trainer)
        self._epoch, self._validated = trainer.current_epoch, False

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take down the last epoch."""
        self._record(trainer)
        self._epoch = None

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Complete the last epoch."""
        self._complete(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember that the validation metrics are this epoch's."""
        self._validated = not trainer.sanity_checking

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the rows into the checkpoint, the present epoch's among them."""
        self._record(trainer)
        checkpoint["callbacks"][self.state_key] = {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a former run's rows."""
        self.rows = {int(epoch): dict(row) for epoch, row in state_dict["rows"].items()}

    def _complete(self, trainer: Trainer) -> None:
        self._record(trainer)
        if self.rows and trainer.is_global_zero:
            self.epoch_complete(trainer)

    def _record(self, trainer: Trainer) -> None:
        if self._epoch is not None:
            self.rows[self._epoch] = {
                name: float(value)
                for name, value in trainer.callback_metrics.items()
                if self._validated or not name.startswith("val")
            }
