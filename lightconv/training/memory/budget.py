"""Training inside so many gigabytes."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

from lightconv.errors import UsageError
from lightconv.training.memory.batch import batch_size, evenly
from lightconv.training.memory.predict import Peak, Rehearsal, in_words, largest_micro_batch
from lightconv.training.memory.say import say
from lightconv.training.memory.share import GIBIBYTE, cap, context_share, margin, process_share
from lightconv.training.memory.steps import MicroBatchedOptimization, least, parts


class MemoryBudget(Callback):
    """Keeps training inside a budget of memory, at the same batch size.

    The batch that the loader yields remains the batch of the optimiser's step. Where a step on all of it would not
    fit, it is taken in micro-batches, as large and as equal as can be, whose gradients are added up, each weighted
    by its share of the batch. For a loss that is a mean over samples this is the gradient of the whole batch up to
    rounding. Two things depend on the micro-batch: BatchNorm normalises by the statistics of each micro-batch, and
    updates its running statistics once for each; and dropout draws its masks in another order.

    The size is predicted (see :func:`~lightconv.training.memory.predict_peak`) when the first batch is there. Should
    memory run out in spite of that, then everything that the step changed (random state, buffers, metrics, what was
    logged) is put back, and the step is repeated with smaller micro-batches, which hold from then on; several
    processes do so together. Validation within ``fit`` takes its batches in parts of the same size.

    On a GPU the budget holds for the whole process: its CUDA context is subtracted, and PyTorch's allocator hands
    out no more than the rest. On a CPU 1.25 GiB are subtracted for Python, libraries and data (more if the process
    holds more), a third of the rest is left to the holes that the C library leaves between tensors, and the
    prediction decides.

    Args:
        gibibytes: the budget, for each process.
        micro_batch: samples to take at a time, instead of predicting how many.

    Raises:
        UsageError: if a number is out of its range; in ``fit``, if the strategy or the module cannot be helped, or
            if not even one sample fits.

    >>> import lightning.pytorch as pl
    >>> trainer = pl.Trainer(callbacks=[MemoryBudget(gibibytes=4)], logger=False, enable_checkpointing=False)
    """

    def __init__(self, gibibytes: float = 4.0, micro_batch: int | None = None) -> None:
        if not gibibytes > 0:
            raise UsageError(f"Expected `gibibytes` to be positive, but got {gibibytes}.")
        if micro_batch is not None and micro_batch < 1:
            raise UsageError(f"Expected `micro_batch` to be a positive integer, but got {micro_batch}.")
        self.gibibytes = gibibytes
        self.micro_batch = micro_batch
        self.peak: Peak | None = None
        """What was predicted for this size."""
        self._allowed = 0.0
        self._undo: list[Callable[[], None]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Subtract what is not for tensors, cap the process, and take over the training step."""
        if stage != "fit":
            return
        _check(trainer, pl_module)
        device = trainer.strategy.root_device
        share = context_share(device) if device.type == "cuda" else process_share()
        self._allowed = self.gibibytes * GIBIBYTE - share
        if self._allowed <= 0:
            raise UsageError(
                f"Expected `gibibytes` of MemoryBudget to be more than the {in_words(share)} that the process needs "
                f"for itself, but got {self.gibibytes:g}."
            )
        if device.type == "cuda":
            self._undo.append(cap(device, self._allowed))
        self._take_over(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the trainer as it was."""
        while self._undo:
            self._undo.pop()()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the trainer as it was."""
        self.teardown(trainer, pl_module, "fit")

    def state_dict(self) -> dict[str, Any]:
        """The size, so that a resumed run goes on with it."""
        return {"gibibytes": self.gibibytes, "micro_batch": self.micro_batch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the size of a run with the same budget."""
        if self.micro_batch is None and state_dict["gibibytes"] == self.gibibytes:
            self.micro_batch = state_dict["micro_batch"]

    def settle(self, trainer: Trainer, batch: Any) -> int:
        """The size of micro-batches, predicted from the first batch."""
        if self.micro_batch is None:
            self.micro_batch = least(trainer, self._predicted(trainer, batch))
            if self.micro_batch == 0:
                raise self._too_small()
        return self.micro_batch

    def lower(self, trainer: Trainer, size: int) -> None:
        """Go on with a smaller size, as told when memory ran out."""
        if size == 0:
            raise self._too_small()
        say(trainer, f"Out of memory with {self.micro_batch:,} samples at a time: the step is repeated with {size:,}.")
        self.micro_batch, self.peak = size, None

    def _predicted(self, trainer: Trainer, batch: Any) -> int:
        count = batch_size(batch)
        try:
            rehearsal = Rehearsal(
                trainer.lightning_module,
                batch,
                optimizer=trainer.optimizers[0],
                context=trainer.strategy.precision_plugin.train_step_context,
            )
            allowed = self._allowed / margin(trainer.strategy.root_device) - _buckets(trainer)
            found = largest_micro_batch(rehearsal, allowed)
        except Exception as error:  # whatever a module may do with tensors that have no contents
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            if trainer.strategy.root_device.type != "cuda":
                raise UsageError(
                    f"Expected a training step whose memory can be predicted, but it failed on tensors without "
                    f"contents ({reason}); give MemoryBudget a `micro_batch`."
                ) from error
            say(trainer, f"The peak of a training step cannot be predicted ({reason}): found by trial.")
            return count
        if found is None:
            return 0
        size, self.peak = found
        runs = evenly(count, size)
        if len(runs) == 1:
            say(trainer, f"Peak of a training step, predicted: {self.peak}")
            return size
        size = runs[0][1]
        self.peak = rehearsal.peak(size)
        say(
            trainer,
            f"{in_words(allowed)} of {self.gibibytes:g} GiB are for a training step: {size:,} samples at a time.\n"
            f"Peak of a training step, predicted: {self.peak}\n"
            f"The whole batch of {count:,} at once would take {in_words(rehearsal.peak().total)}.",
        )
        return size

    def _too_small(self) -> UsageError:
        return UsageError(
            f"Expected a training step on one sample to fit MemoryBudget's {self.gibibytes:g} GiB "
            f"({in_words(self._allowed)} of them for tensors), but it needs more; "
            "take a larger budget, smaller pictures or a smaller network."
        )

    def _take_over(self, trainer: Trainer) -> None:
        loop, strategy = trainer.fit_loop.epoch_loop, trainer.strategy
        plain, step = loop.automatic_optimization, strategy.validation_step
        loop.automatic_optimization = MicroBatchedOptimization(trainer, self)

        def validation_step(batch: Any, *rest: Any) -> Any:
            result = None
            for _, piece, _ in parts(trainer, batch, self.micro_batch or batch_size(batch)):
                result = step(piece, *rest)
            return result

        strategy.validation_step = validation_step  # type: ignore[method-assign]

        def undo() -> None:
            loop.automatic_optimization = plain
            del strategy.validation_step

        self._undo.append(undo)


def _check(trainer: Trainer, module: LightningModule) -> None:
    strategy = trainer.strategy
    if not isinstance(strategy, (SingleDeviceStrategy, DDPStrategy)) or strategy.handles_gradient_accumulation:
        raise UsageError(
            f"Expected a strategy for one device or `ddp` with MemoryBudget, but got {type(strategy).__name__}."
        )
    if not module.automatic_optimization:
        raise UsageError("Expected `automatic_optimization` with MemoryBudget, but the module optimises by itself.")
    synchronised = any(isinstance(m, torch.nn.SyncBatchNorm) for m in module.modules())
    if synchronised or getattr(strategy, "_layer_sync", None) is not None:
        raise UsageError(
            "Expected no SyncBatchNorm with MemoryBudget: it exchanges statistics within a step, so that processes "
            "could not repeat one; set `sync_batchnorm` to false."
        )


def _buckets(trainer: Trainer) -> int:
    """Bytes in which DDP collects gradients."""
    if trainer.world_size == 1:
        return 0
    return sum(p.numel() * p.element_size() for p in trainer.lightning_module.parameters() if p.requires_grad)
