"""Training steps in micro-batches, repeated where memory runs out."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loops.optimization.automatic import Closure, ClosureResult, _AutomaticOptimization
from lightning.pytorch.loops.utilities import _block_parallel_sync_behavior
from lightning.pytorch.utilities.memory import garbage_collection_cuda, is_oom_error
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from lightconv.training.memory.batch import batch_size, evenly, part
from lightconv.training.memory.rollback import Before

Step = Callable[..., Any]


class Sizes(Protocol):
    """Says how many samples to take at a time."""

    def settle(self, trainer: Trainer, batch: Any) -> int:
        """The size of micro-batches for a batch."""
        ...

    def lower(self, trainer: Trainer, size: int) -> None:
        """Go on with a smaller size; 0 if even one sample was too much."""
        ...


class MicroBatchedOptimization(_AutomaticOptimization):
    """Lightning's automatic optimisation, with each batch taken a micro-batch at a time.

    A step is a closure: forward and backward pass of all micro-batches, gradients added up, before the optimiser or
    a gradient scaler does anything with them. If memory runs out anywhere in it, everything that it changed is put
    back, and it is called again with smaller micro-batches. Several processes agree, after each attempt and before
    any gradient leaves its process, on whether it was good for all of them.

    Args:
        trainer: the one whose loop this becomes a part of.
        sizes: says how many samples to take at a time.
    """

    def __init__(self, trainer: Trainer, sizes: Sizes) -> None:
        super().__init__(trainer)
        self.optim_progress = trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress
        self._sizes = sizes

    def _make_closure(self, kwargs: OrderedDict[str, Any], optimizer: Optimizer, batch_idx: int) -> Closure:
        closure = super()._make_closure(kwargs, optimizer, batch_idx)
        return _Repeated(self.trainer, self._sizes, self._training_step, closure, kwargs)


class _Repeated(Closure):
    def __init__(
        self, trainer: Trainer, sizes: Sizes, step: Step, plain: Closure, kwargs: OrderedDict[str, Any]
    ) -> None:
        super().__init__(plain._step_fn, plain._backward_fn, plain._zero_grad_fn)
        self._trainer, self._sizes, self._step, self._kwargs = trainer, sizes, step, kwargs
        self._batch = kwargs["batch"]
        self._count = batch_size(self._batch)

    @torch.enable_grad()
    def closure(self, *args: Any, **kwargs: Any) -> ClosureResult:
        """Forward and backward pass of the whole batch, repeated until they fit."""
        trainer = self._trainer
        size = self._sizes.settle(trainer, self._batch)
        logged: Any = trainer._results
        before = Before(trainer.lightning_module, logged, keep_gradients=self._zero_grad_fn is None)
        while True:
            result = self._attempt(size)
            agreed = least(trainer, size if result is not None else smaller(self._count, size))
            if result is not None and agreed == size:
                break
            result = None
            before.restore()
            garbage_collection_cuda()
            size = agreed
            self._sizes.lower(trainer, size)
        if isinstance(trainer.model, DistributedDataParallel) and not trainer.fit_loop._should_accumulate():
            reduce_gradients(trainer.model, trainer.lightning_module)
        return result

    def _attempt(self, size: int) -> ClosureResult | None:
        model = self._trainer.model
        if isinstance(model, DistributedDataParallel):
            # Every attempt begins like the first, wherever the one before it ended in this process.
            model.require_forward_param_sync = True
        try:
            with _block_parallel_sync_behavior(self._trainer.strategy):
                return self._in_parts(size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None  # outside of the block, where the error holds no tensors any more

    def _in_parts(self, size: int) -> ClosureResult:
        whole, extra = None, {}
        for start, piece, share in parts(self._trainer, self._batch, size):
            kwargs = OrderedDict(self._kwargs)
            kwargs["batch"] = piece
            result = self._step(kwargs)
            if start == 0 and self._zero_grad_fn is not None:
                self._zero_grad_fn()
            if result.closure_loss is None:
                self.warning_cache.warn("`training_step` returned `None`. If this was on purpose, ignore this warning.")
                continue
            loss = result.closure_loss if share == 1 else result.closure_loss * share
            extra = result.extra
            whole = loss.detach() if whole is None else whole + loss.detach()
            result.closure_loss = None
            if self._backward_fn is not None:
                self._backward_fn(loss)
        return ClosureResult(whole, extra)


def parts(trainer: Trainer, batch: Any, size: int) -> Any:
    """Micro-batches of a batch: where each begins, the samples, and its share of the whole.

    What a step logs meanwhile has the weight of its micro-batch.
    """
    count = batch_size(batch)
    if count <= size:
        yield 0, batch, 1
        return
    results: Any = trainer._results
    for start, stop in evenly(count, size):
        piece = part(batch, start, stop)
        results.batch, results.batch_size = piece, None
        yield start, piece, (stop - start) / count
    results.batch, results.batch_size = batch, None


def smaller(count: int, size: int) -> int:
    """The next smaller size of micro-batches for ``count`` samples: a quarter more of them, or 0 after 1.

    >>> [smaller(100, size) for size in (100, 50, 10, 4, 1)]
    [50, 34, 9, 3, 0]
    """
    runs = -(-count // size)
    largest = -(-count // runs)
    more = runs + max(1, runs // 4)
    return min(-(-count // more), largest - 1)


def least(trainer: Trainer, size: int) -> int:
    """The smallest of the sizes that all processes ask for."""
    if trainer.world_size == 1:
        return size
    wanted = torch.tensor(size, device=trainer.strategy.root_device)
    return int(trainer.strategy.reduce(wanted, reduce_op="min"))


def reduce_gradients(model: DistributedDataParallel, module: Any) -> None:
    """Average gradients over all processes, as a backward pass through ``model`` does, by one that adds zeros.

    It comes when all micro-batches are done everywhere: a process that runs out of memory while others wait for its
    share of a gradient would let them wait for ever.
    """

    def nothing() -> Tensor:
        return sum((p.sum() * 0 for p in module.parameters() if p.requires_grad), torch.zeros(()))

    forward, module.forward = module.forward, nothing  # DDP notices gradients of what goes through its forward
    try:
        loss = model()
    finally:
        module.forward = forward
    loss.backward()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on whatever device."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or is_oom_error(error)
