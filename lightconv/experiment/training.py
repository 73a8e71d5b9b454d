"""One training of an experiment: ``lightconv fit`` in this process, followed epoch by epoch."""

import contextlib
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningModule, Trainer

from lightconv.errors import UsageError
from lightconv.tasks import Classifier
from lightconv.training.callbacks.best_and_last import LAST
from lightconv.training.callbacks.history import History, Rows
from lightconv.training.cli import TrainingCLI
from lightconv.training.memory import MemorySummary
from lightconv.training.quiet import quiet

Share = Callable[[float, str], None]


class Follow(History):
    """Keeps the figures of each epoch with the time that it took, and tells how far the training is.

    ``seconds`` are those of the clock, ``processor_seconds`` those that the process computed, all threads together.
    Both are logged, so that they survive a restart with the other figures.

    Args:
        tell: called with the share that is done, from 0 to 1, and what to show beside it.
    """

    def __init__(self, tell: Share) -> None:
        super().__init__()
        self.tell = tell
        self._began = (0.0, 0.0)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the clocks."""
        super().on_train_epoch_start(trainer, pl_module)
        self._began = (time.perf_counter(), time.process_time())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell how far it is."""
        epoch, epochs = trainer.current_epoch, trainer.max_epochs or 1
        share = (epoch + (batch_idx + 1) / max(1, trainer.num_training_batches)) / epochs
        self.tell(share, f"epoch {epoch + 1}/{epochs}")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the time that has passed."""
        pl_module.log("seconds", time.perf_counter() - self._began[0])
        pl_module.log("processor_seconds", time.process_time() - self._began[1])


class _Followed(TrainingCLI):
    def __init__(self, arguments: list[str], follow: Follow) -> None:
        self.follow = follow
        super().__init__("fit", arguments)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        trainer: Any = super().instantiate_trainer(**kwargs)
        # Nobody would read what the summary says, and it takes some seconds.
        trainer.callbacks = [self.follow, *(c for c in trainer.callbacks if not isinstance(c, MemorySummary))]
        return trainer  # type: ignore[no-any-return]


def check(arguments: list[str]) -> dict[str, Any]:
    """The whole configuration that the arguments of ``fit`` stand for; the network and the data can be made of it.

    Raises:
        UsageError: if the arguments are wrong.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), quiet():
        try:
            TrainingCLI("fit", [*arguments, "--print_config"])
        except SystemExit as leaving:
            if leaving.code:
                raise UsageError(
                    f"Expected options that `lightconv fit` takes, but got {' '.join(arguments)}."
                ) from None
    config: dict[str, Any] = yaml.safe_load(printed.getvalue())
    for section in ("model", "data"):
        instance(config[section])
    return config


def instance(described: dict[str, Any]) -> Any:
    """An object of the class and with the arguments that a configuration names."""
    from lightconv.training.cli import _class

    return _class(described["class_path"])(**described["init_args"])


def train(arguments: list[str], folder: Path, tell: Share, *, resume: bool) -> tuple[Classifier, Any, Rows]:
    """Run ``lightconv fit``.

    Args:
        arguments: of ``fit``.
        folder: of the run.
        tell: see :class:`Follow`.
        resume: whether to go on with what is in the folder, if it holds a checkpoint.

    Returns:
        the classifier as it is after the last epoch, the data module, and the figures of each epoch.
    """
    more = [f"--run_dir={folder}", "--trainer.enable_progress_bar=false"]
    if resume and (folder / LAST).is_file():
        more.append("--ckpt_path=last")
    follow = Follow(tell)
    with contextlib.redirect_stdout(io.StringIO()), quiet():
        cli = _Followed([*arguments, *more], follow)
    return cli.model, cli.datamodule, follow.rows
