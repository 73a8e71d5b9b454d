"""Lightning's loop over the batches of an epoch, with less to do around each step."""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loops.fetchers import _DataFetcher, _DataLoaderIterDataFetcher
from lightning.pytorch.loops.optimization.automatic import Closure, ClosureResult, _AutomaticOptimization
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
_TRANSFERS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


class LeanLoop(_TrainingEpochLoop):
    """Takes the steps that Lightning's own loop takes, and calls the same hooks in the same order.

    Around each step Lightning asks some thirty times which hooks there are, who is measuring, and what a plugin would
    scale or divide. For a network whose step takes a millisecond that is half as much again. Here it is asked once
    an epoch. An epoch is left to Lightning's own loop where anything is out of the ordinary: several processes,
    gradients that are accumulated, clipped or scaled, an optimiser's step of the module's own, a logger, a profiler.
    """

    _step: "_Step | None" = None

    @staticmethod
    def install(trainer: Trainer) -> None:
        """Have a new trainer use this loop."""
        plain = trainer.fit_loop.epoch_loop
        if type(plain) is _TrainingEpochLoop:
            trainer.fit_loop.epoch_loop = LeanLoop(trainer, plain.min_steps, plain.max_steps)

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        """Find out what the steps of this epoch consist of."""
        super().on_run_start(data_fetcher)
        self._step = _Step(self.trainer) if _is_ordinary(self.trainer, data_fetcher) else None

    def advance(self, data_fetcher: _DataFetcher) -> None:
        """Take a step."""
        step = self._step
        if step is None or self.restarting:
            super().advance(data_fetcher)
            return
        self.val_loop.restarting = False
        connector, progress = self.trainer._logger_connector, self.batch_progress
        batch, _, _ = next(data_fetcher)
        number = self.batch_idx + 1
        progress.is_last_batch = data_fetcher.done
        batch = step.transfer(batch)
        progress.increment_ready()
        connector.on_batch_start(batch)
        output: Any = None
        skip = step.hook("on_train_batch_start", batch, number) == -1
        if skip:
            progress.increment_by(0, is_last_batch=True)
        else:
            progress.increment_started()
            output = step(batch, number)
        progress.increment_processed()
        if step.schedules:
            self.update_lr_schedulers("step", update_plateau_schedulers=False)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        if skip:
            raise StopIteration
        step.hook("on_train_batch_end", output, batch, number)
        logged: Any = self._results
        if all(metric.has_reset for metric in logged.values()):
            logged.batch = logged.batch_size = None
        else:
            connector.on_batch_end()
        progress.increment_completed()

    def on_advance_end(self, data_fetcher: _DataFetcher) -> None:
        """Validate where it is time to, and leave where that is wished."""
        step, trainer = self._step, self.trainer
        if step is None or self.batch_progress.is_last_batch or trainer.should_stop or step.pauses:
            super().on_advance_end(data_fetcher)
            return
        self._batches_that_stepped += 1
        if trainer.received_sigterm and not self._is_training_done:
            raise SIGTERMException


def _is_ordinary(trainer: Trainer, fetcher: _DataFetcher) -> bool:
    strategy, precision, module = trainer.strategy, trainer.precision_plugin, trainer.lightning_module
    optimisation = trainer.fit_loop.epoch_loop.automatic_optimization
    profiler: Any = trainer.profiler  # type: ignore[attr-defined]
    return (
        type(strategy) is SingleDeviceStrategy
        and strategy.model is module
        and (type(precision) is Precision or (type(precision) is MixedPrecision and precision.scaler is None))
        and type(optimisation) is _AutomaticOptimization
        and not optimisation._skip_backward
        and module.automatic_optimization
        and len(trainer.optimizers) == 1
        and trainer.accumulate_grad_batches == 1
        and trainer.gradient_clip_val is None
        and not any(_is_own(module, LightningModule, part) for part in ("optimizer_step", "backward"))
        and isinstance(profiler, PassThroughProfiler)
        and not trainer.loggers
        and not isinstance(fetcher, _DataLoaderIterDataFetcher)
    )


class _Step:
    """Forward pass, gradients to none, backward pass, the optimiser's turn; and the hooks that somebody has.

    Attributes:
        schedules: whether a learning rate changes after each step.
        pauses: whether a step may be followed by more than the next one, other than at the end of the epoch.
    """

    def __init__(self, trainer: Trainer) -> None:
        loop, precision = trainer.fit_loop.epoch_loop, trainer.precision_plugin
        self._trainer = trainer
        self._module = trainer.lightning_module
        self._optimizer = trainer.optimizers[0]
        self._device = trainer.strategy.root_device
        self._context = nullcontext if type(precision) is Precision else precision.train_step_context
        self._takes_number = "batch_idx" in loop._build_kwargs(OrderedDict(), None, 0)
        self._progress = loop.automatic_optimization.optim_progress.optimizer
        self._hooks = {name: self._found(name) for name in _HOOKS}
        selector: Any = trainer._data_connector._datahook_selector
        self._transfers = [getattr(selector.get_instance(name), name) for name in _TRANSFERS]
        schedules = [config for config in trainer.lr_scheduler_configs if config.interval == "step"]
        self.schedules = bool(schedules)
        self.pauses = trainer.val_check_batch != trainer.num_training_batches or any(
            config.reduce_on_plateau for config in schedules
        )

    def _found(self, name: str) -> tuple[list[Callable[..., Any]], Callable[..., Any] | None]:
        """The callbacks' hooks of that name, and the module's."""
        callbacks: list[Callback] = self._trainer.callbacks  # type: ignore[attr-defined]
        own = getattr(self._module, name) if _is_own(self._module, LightningModule, name) else None
        return [getattr(callback, name) for callback in callbacks if _is_own(callback, Callback, name)], own

    def hook(self, name: str, *args: Any) -> Any:
        """Call the callbacks' hooks and the module's; returns what the module's returns."""
        callbacks, own = self._hooks[name]
        if not callbacks and own is None:
            return None
        module = self._module
        before, module._current_fx_name = module._current_fx_name, name
        for callback in callbacks:
            callback(self._trainer, module, *args)
        result = own(*args) if own is not None else None
        module._current_fx_name = before
        return result

    def transfer(self, batch: Any) -> Any:
        """The batch on the module's device."""
        before, move, after = self._transfers
        return after(move(before(batch, 0), self._device, 0), 0)

    def __call__(self, batch: Any, number: int) -> dict[str, Any]:
        """Take the step; returns what hooks are told of it."""
        module, optimizer, result = self._module, self._optimizer, ClosureResult(None)

        def closure() -> Any:
            nonlocal result
            result = self._forward(batch, number)
            self._zero_gradients(number)
            if result.closure_loss is not None:
                self._backward(result.closure_loss)
            self.hook("on_before_optimizer_step", optimizer)
            module.configure_gradient_clipping(optimizer, gradient_clip_val=None, gradient_clip_algorithm=None)
            return result.loss

        self._progress.step.increment_ready()
        optimizer.step(closure=closure)
        self._progress.step.increment_completed()
        return {} if result.loss is None else result.asdict()

    def _forward(self, batch: Any, number: int) -> ClosureResult:
        module = self._module
        before, module._current_fx_name = module._current_fx_name, "training_step"
        with self._context():
            output = module.training_step(batch, number) if self._takes_number else module.training_step(batch)
        module._current_fx_name = before
        if output is None:
            Closure.warning_cache.warn("`training_step` returned None: the step goes without a backward pass.")
        # Otherwise Lightning would divide the loss by 1.
        return ClosureResult(output) if isinstance(output, Tensor) else ClosureResult.from_training_step_output(output)

    def _zero_gradients(self, number: int) -> None:
        progress = self._progress.zero_grad
        progress.increment_ready()
        self.hook("on_before_zero_grad", self._optimizer)
        progress.increment_started()
        self._module.optimizer_zero_grad(self._trainer.current_epoch, number, self._optimizer)
        progress.increment_completed()

    def _backward(self, loss: Tensor) -> None:
        self.hook("on_before_backward", loss)
        loss.backward()
        self.hook("on_after_backward")


def _is_own(thing: Any, base: type, name: str) -> bool:
    """Whether a method is not the one that it would inherit from ``base``."""
    return getattr(getattr(thing, name), "__func__", None) is not getattr(base, name)
