"""One line that tells how far a run is and how good."""

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

_INTERVAL = 0.1
_LINES = 10
_ALL = {"loss": "train_loss", "validation loss": "val_loss", "validation accuracy": "val_accuracy"}


class Progress(ProgressBar):
    """A bar over the whole run, with epoch, losses and validation accuracy.

    On a terminal it is one line of at most 80 characters that is redrawn a few times a second, which costs next to
    nothing even where an epoch takes a tenth of a second. Elsewhere (a log file, a pipe) it is about ten plain lines.
    """

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        self._console = console or Console(highlight=False)
        self._enabled = True
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._done = 0
        self._drawn = 0.0
        self._what = ""
        self._text = ""

    def disable(self) -> None:
        """Show nothing; Lightning calls it on all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Show again."""
        self._enabled = True

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print above the bar."""
        self._console.print(*args, soft_wrap=True)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar."""
        epochs = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else None
        self._start("training", epochs and epochs * self.total_train_batches)
        self._done = int(trainer.current_epoch * self.total_train_batches)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar."""
        self._advance()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell the epoch."""
        if trainer.current_epoch > 0 and trainer.callback_metrics:
            self._epoch_done(trainer, trainer.current_epoch)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the finished bar where it is."""
        if trainer.callback_metrics:
            self._epoch_done(trainer, trainer.current_epoch)
        self._stop()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show a bar, unless this is the validation within training."""
        if trainer.state.fn == "validate":
            self._start("validating", sum(trainer.num_val_batches))

    def on_validation_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Move the bar."""
        if trainer.state.fn == "validate":
            self._advance()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finish."""
        if trainer.state.fn == "validate":
            self._stop()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar."""
        self._start("testing", sum(trainer.num_test_batches))

    def on_test_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Move the bar."""
        self._advance()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finish."""
        self._stop()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar."""
        self._start("predicting", sum(trainer.num_predict_batches))

    def on_predict_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Move the bar."""
        self._advance()

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finish."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the terminal back."""
        self._stop()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the terminal back."""
        self._stop()

    def _start(self, what: str, total: float | None) -> None:
        self._done, self._drawn, self._what, self._text = 0, 0.0, what, ""
        if not self._enabled or not self._console.is_terminal:
            return
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20, complete_style="#2a6fb0", finished_style="#2a6fb0", pulse_style="#2a6fb0"),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]left"),
            console=self._console,
            auto_refresh=False,
        )
        finite = None if total is None or total == float("inf") else total
        self._task = self._bar.add_task(what, total=finite, text="")
        self._bar.start()

    def _advance(self) -> None:
        self._done += 1
        if self._bar is not None and time.monotonic() - self._drawn > _INTERVAL:
            self._draw()

    def _draw(self) -> None:
        if self._bar is not None and self._task is not None:
            self._drawn = time.monotonic()
            self._bar.update(self._task, completed=self._done, description=self._what, text=self._text, refresh=True)

    def _stop(self) -> None:
        if self._bar is not None:
            self._draw()
            self._bar.stop()
            self._bar = self._task = None

    def _epoch_done(self, trainer: Trainer, epochs: int) -> None:
        of = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        self._what = f"epoch {epochs}{of}"
        self._text = _figures(trainer, {"loss": "train_loss", "validation": "val_accuracy"})
        if self._bar is not None:
            self._draw()
        elif self._enabled and self._is_milestone(trainer, epochs):
            self._console.print(f"{self._what}  {_figures(trainer, _ALL)}")

    def _is_milestone(self, trainer: Trainer, epochs: int) -> bool:
        every = max(1, (trainer.max_epochs or 0) // _LINES)
        return epochs % every == 0 or epochs == trainer.max_epochs


def _figures(trainer: Trainer, names: dict[str, str]) -> str:
    """The chosen ones of the metrics that have been logged, accuracies in per cent."""
    shown = []
    for label, name in names.items():
        if name in trainer.callback_metrics:
            value = float(trainer.callback_metrics[name])
            shown.append(f"{label} {100 * value:.2f} %" if name.endswith("accuracy") else f"{label} {value:.3f}")
    return "  ".join(shown)
