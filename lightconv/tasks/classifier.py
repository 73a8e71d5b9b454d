"""What all classifiers share: pre-processing, the steps, metrics, optimiser, and what a checkpoint says."""

import inspect
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from lightning.pytorch.utilities.types import OptimizerConfig, OptimizerLRSchedulerConfig
from torch import Tensor
from torch.nn import functional as F

import lightconv.nn as nn
from lightconv.errors import UsageError
from lightconv.tasks import own_networks
from lightconv.tasks.figures import Figures
from lightconv.tasks.lean import LeanModule
from lightconv.tasks.optimisation import (
    OptimizerName,
    ScheduleName,
    check_names,
    halving,
    make_optimizer,
    one_cycle,
)

if TYPE_CHECKING:
    from lightconv.tasks.teaching import Teachers

Batch = tuple[Tensor, Tensor]


class Classifier(LeanModule):
    """Base of the classifiers: a network by name, trained with cross entropy.

    A subclass states its task, its networks and its input. ``forward`` maps normalised input to logits;
    :meth:`preprocess` maps raw input, as the data module yields it, to normalised input. The mean and standard
    deviation that it needs are taken from the data module's training part when fitting starts, the names of the
    classes from the data module itself, and they are kept in the checkpoint.

    Logged once an epoch: ``train_loss``, ``train_accuracy``, ``val_loss``, ``val_accuracy``, and the
    ``learning_rate`` that the epoch began with; in testing ``test_loss`` and ``test_accuracy``. Where a class is a
    number of several digits, validation and testing also log the accuracy of each, ``val_tens_accuracy`` for example.
    Accuracies run from 0 to 1 (micro average). ``val_figures.details`` and ``test_figures.details`` hold what is
    more than one number: the accuracy of each class, and the confusion matrix.

    Args:
        network: name of the network, or of a Python file and a function in it, ``"nets.py:mine"``, whose code is run:
            it returns a network from one sample's channel, (N, 1, 40) for example, to logits (N, classes).
        optimizer: ``"adamw"`` or ``"sgd"``.
        learning_rate: the largest one of the schedule.
        momentum: SGD's momentum, AdamW's first beta.
        weight_decay: on weights, not on biases and scales.
        schedule: ``"one_cycle"`` as long as the training, ``"halving"`` every ``halve_every`` epochs, or
            ``"constant"``.
        halve_every: epochs, for ``"halving"``.
        network_options: arguments of the network's function in :mod:`lightconv.tasks.networks`, where it has any;
            those of the book's and the report's networks are :func:`~lightconv.tasks.networks.conv_pool_relu`'s.
        teachers: runs or checkpoints of finished classifiers of the same task, to learn from beside the labels, see
            :class:`~lightconv.tasks.teaching.Teachers`. They are read when fitting begins.

    Raises:
        UsageError: if there is no network of that name or it has no such option, or a number is out of its range.
    """

    task: ClassVar[str]
    networks: ClassVar[Mapping[str, Callable[..., nn.Module]]]
    class_names: tuple[str, ...]
    digits: ClassVar[tuple[str, ...]] = ()
    input_name: ClassVar[str]
    raw_shape: ClassVar[tuple[int, ...]]

    input_mean: Tensor
    input_std: Tensor

    def __init__(
        self,
        network: str = "light",
        optimizer: OptimizerName = "adamw",
        learning_rate: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0.05,
        schedule: ScheduleName = "one_cycle",
        halve_every: int = 20,
        network_options: dict[str, Any] | None = None,
        teachers: list[str] | None = None,
    ) -> None:
        super().__init__()
        self.check_network(network)
        check_names(optimizer, schedule)
        if learning_rate <= 0:
            raise UsageError(f"Expected `learning_rate` to be positive, but got {learning_rate}.")
        if not 0 <= momentum < 1:
            raise UsageError(f"Expected `momentum` to lie in 0 <= momentum < 1, but got {momentum}.")
        if weight_decay < 0:
            raise UsageError(f"Expected `weight_decay` to be 0 or more, but got {weight_decay}.")
        if halve_every < 1:
            raise UsageError(f"Expected `halve_every` to be a positive integer, but got {halve_every}.")
        self.save_hyperparameters(ignore=["_class_path", "_instantiator"])  # which Lightning's command line may add
        self._network_sha256 = own_networks.fingerprint(network) if own_networks.is_own(network) else None
        self.network = self._network(network, network_options or {})
        self.register_buffer("input_mean", torch.tensor(0.0))
        self.register_buffer("input_std", torch.tensor(1.0))
        self.provenance: dict[str, Any] = {}
        classes = len(self.class_names)
        self.train_figures = Figures("train", classes)
        self.val_figures = Figures("val", classes, self.digits, detailed=True)
        self.test_figures = Figures("test", classes, self.digits, detailed=True)
        self._learning_rate = 0.0
        self._teachers: Teachers | None = None

    @classmethod
    def check_network(cls, network: str) -> None:
        """Raise UsageError if `network` is neither one of ours nor a file and a function in it."""
        if network not in cls.networks and not own_networks.is_own(network):
            raise UsageError(
                f"Expected `network` to be one of {', '.join(cls.networks)}, or a function in a file of yours, like "
                f"nets.py:mine, but got {network!r}."
            )

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, *args: Any, **options: Any) -> Self:
        """What Lightning's does, except that it makes a user's network only if `network` names it.

        Raises:
            UsageError: if not. :func:`lightconv.tasks.load` has more to say of what may be wrong with a checkpoint.
        """
        with nullcontext() if own_networks.is_own(options.get("network")) else own_networks.refused():
            return super().load_from_checkpoint(checkpoint_path, *args, **options)

    @property
    def network_name(self) -> str:
        """The network's name; of one in a user's file the name of its function."""
        return own_networks.network_name(self.hparams["network"])

    def _network(self, name: str, options: Mapping[str, Any]) -> nn.Module:
        if own_networks.is_own(name):
            return own_networks.make(name, options, self.raw_shape, len(self.class_names))
        try:
            return self.networks[name](**options)
        except (TypeError, ValueError) as error:
            given = ", ".join(f"{option}={value!r}" for option, value in options.items())
            raise UsageError(f"Expected `network_options` that {name!r} has, but got {given} ({error}).") from error

    def forward(self, x: Tensor) -> Tensor:
        """Normalised input (N, 1, *size) to logits (N, classes)."""
        return self.network(x)

    def preprocess(self, raw: Tensor) -> Tensor:
        """Raw input (N, *raw_shape) or (N, 1, *raw_shape) to normalised float (N, 1, *raw_shape).

        Raises:
            ValueError: if the shape is another.
        """
        if tuple(raw.shape[1:]) not in (self.raw_shape, (1, *self.raw_shape)):
            wanted = ", ".join(map(str, self.raw_shape))
            raise ValueError(
                f"Expected {self.input_name}s of shape (N, {wanted}) or (N, 1, {wanted}), but got {tuple(raw.shape)}."
            )
        x = raw if raw.dim() == len(self.raw_shape) + 2 else raw.unsqueeze(1)
        return (x.to(self.input_mean.dtype) - self.input_mean) / self.input_std

    def setup(self, stage: str) -> None:
        """Take mean and standard deviation from the training part, a checkpoint's replace them; call the teachers.

        Raises:
            UsageError: if the data have another number of classes, or there is something wrong with a teacher.
        """
        data: Any = getattr(self.trainer, "datamodule", None)
        if hasattr(data, "class_names"):
            if len(data.class_names) != len(self.class_names):
                raise UsageError(
                    f"Expected `data` of {len(self.class_names)} classes for {type(self).__name__}, but got "
                    f"{type(data).__name__} with {len(data.class_names)}."
                )
            if stage == "fit":
                self.class_names = tuple(data.class_names)
        if stage == "fit" and hasattr(data, "statistics"):
            mean, std = data.statistics()
            self.input_mean.fill_(mean)
            self.input_std.fill_(std)
        if stage == "fit" and self.hparams["teachers"]:
            from lightconv.tasks.teaching import Teachers  # which are classifiers themselves

            self._teachers = Teachers(self.hparams["teachers"], self)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Cross entropy of a batch; what the teachers say comes in, if there are any."""
        logits, loss = self._step(batch, self.train_figures)
        return loss if self._teachers is None else self._teachers.loss(batch[0], logits, loss)

    # Lightning asks for the step's signature in each step: worked out once, it is at hand.
    training_step.__signature__ = inspect.signature(training_step)  # type: ignore[attr-defined]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a batch."""
        self._step(batch, self.val_figures)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a batch."""
        self._step(batch, self.test_figures)

    def predict_step(self, batch: Batch | Tensor, batch_idx: int) -> Tensor:
        """Probabilities (N, classes)."""
        raw = batch if isinstance(batch, Tensor) else batch[0]
        return self(self.preprocess(raw)).softmax(1)

    def on_train_start(self) -> None:
        """Send the teachers where the network is; make sure that a schedule as long as the training ends when it does.

        Raises:
            UsageError: if the run goes on for another number of steps than it began with.
        """
        if self._teachers is not None:
            self._teachers.to(self.device)
        steps = self.trainer.estimated_stepping_batches
        for config in self.trainer.lr_scheduler_configs:
            planned = getattr(config.scheduler, "total_steps", steps)
            if planned != steps:
                raise UsageError(
                    f"Expected to go on with the {planned:,} steps that the one-cycle schedule began with, but the "
                    f"training has {steps:,} now; repeat the run's options (epochs, batch size, processes), or begin "
                    "a new run without `--ckpt_path`."
                )

    def on_train_epoch_start(self) -> None:
        """Begin to count; remember what the epoch begins with."""
        self.train_figures.reset()
        # Logged at the end: whatever is logged in an epoch, Lightning collects anew after each step that follows.
        self._learning_rate = self.trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self) -> None:
        """Log the epoch."""
        self.log("learning_rate", self._learning_rate)
        self._log(self.train_figures)

    def on_validation_epoch_start(self) -> None:
        """Begin to count."""
        self.val_figures.reset()

    def on_validation_epoch_end(self) -> None:
        """Log the epoch."""
        self._log(self.val_figures)

    def on_test_epoch_start(self) -> None:
        """Begin to count."""
        self.test_figures.reset()

    def on_test_epoch_end(self) -> None:
        """Log the result."""
        self._log(self.test_figures)

    def configure_optimizers(self) -> OptimizerConfig | OptimizerLRSchedulerConfig:
        """The optimiser and the schedule that the hyper-parameters name."""
        chosen = self.hparams
        optimizer = make_optimizer(
            chosen["optimizer"],
            self.parameters(),
            chosen["learning_rate"],
            chosen["momentum"],
            chosen["weight_decay"],
        )
        if chosen["schedule"] == "one_cycle":
            steps = int(self.trainer.estimated_stepping_batches)
            schedule = one_cycle(optimizer, chosen["learning_rate"], steps)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
        if chosen["schedule"] == "halving":
            schedule = halving(optimizer, chosen["halve_every"])
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}
        return {"optimizer": optimizer}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Write down where the weights come from, in plain values."""
        from lightconv import __version__

        data: Any = getattr(self.trainer, "datamodule", None)
        seed = os.environ.get("PL_GLOBAL_SEED")
        accuracy = self.trainer.callback_metrics.get("val_accuracy")
        checkpoint["class_names"] = list(self.class_names)
        checkpoint["provenance"] = {
            "task": self.task,
            "network": self.network_name,
            "data": data.describe() if hasattr(data, "describe") else None,
            "seed_everything": int(seed) if seed else None,
            "epochs": self.trainer.current_epoch + 1,
            "val_accuracy": None if accuracy is None else float(accuracy),
            "lightconv": __version__,
        }
        if own_networks.is_own(self.hparams["network"]):
            checkpoint["provenance"]["network_sha256"] = self._network_sha256

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember where the weights come from and what they tell apart."""
        self.provenance = checkpoint.get("provenance", {})
        self.class_names = tuple(checkpoint.get("class_names", self.class_names))

    def _step(self, batch: Batch, figures: Figures) -> tuple[Tensor, Tensor]:
        raw, labels = batch
        logits = self(self.preprocess(raw))
        loss = F.cross_entropy(logits, labels)
        figures.update(loss.detach(), logits.detach(), labels)
        return logits, loss

    def _log(self, figures: Figures) -> None:
        for name, value in figures.compute().items():
            self.log(name, value, prog_bar=name.endswith("accuracy"))
