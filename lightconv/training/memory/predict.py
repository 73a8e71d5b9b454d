"""What a training step will need, worked out without taking it."""

import copy
import inspect
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves, tree_map

from lightconv.errors import UsageError
from lightconv.functional import dispatch
from lightconv.training.memory.batch import batch_size, part
from lightconv.training.memory.live import OTHER, LiveBytes

Step = Callable[[Any, Any], Tensor]
Context = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Peak:
    """Bytes that tensors hold at the moment of a training step when they hold most, by what they are for.

    >>> mebibyte = 2**20
    >>> print(Peak(3 * mebibyte, 0, 3 * mebibyte, 0, 20 * mebibyte, mebibyte))
    27.00 MiB (parameters 3.00, gradients 0.00, optimiser 3.00, batch 0.00, saved 20.00, workspace 1.00)
    """

    parameters: int
    """Parameters, buffers, and other tensors that modules keep, such as the states of metrics."""
    gradients: int
    """Of the parameters, as far as they exist at that moment."""
    optimizer: int
    """What the optimiser remembers."""
    batch: int
    """The whole batch, of which a step may take a part."""
    activations: int
    """What the forward pass keeps for the backward pass."""
    workspace: int
    """Whatever else is in use: results on their way, gradients of activations, windows."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(astuple(self))

    def __str__(self) -> str:
        words = ("parameters", "gradients", "optimiser", "batch", "saved", "workspace")
        unit, _ = _unit(self.total)
        parts = (f"{word} {size / unit:.2f}" for word, size in zip(words, astuple(self), strict=True))
        return f"{in_words(self.total)} ({', '.join(parts)})"


def in_words(size: float) -> str:
    """A number of bytes for people.

    >>> in_words(3 * 2**30)
    '3.00 GiB'
    """
    unit, name = _unit(size)
    return f"{size / unit:.2f} {name}"


def _unit(size: float) -> tuple[int, str]:
    return next((u, name) for u, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")) if size >= u or u == 2**10)


def predict_peak(
    module: nn.Module,
    batch: Any,
    *,
    step: Step | None = None,
    optimizer: Optimizer | None = None,
    autocast: torch.dtype | None = None,
    micro_batch: int | None = None,
) -> Peak:
    """The largest number of bytes that tensors hold at once in a training step, by what they are for.

    The step is rehearsed on fake tensors, which have shapes and no contents: nothing is computed, nothing is
    allocated, and neither the module nor the optimiser nor the random state is touched. The rehearsal follows the
    present backend and workspace. What it sees is what PyTorch's dispatcher sees; what an operator needs for itself
    while it runs (scratch memory of a vendor's library, of our compiled kernels) is not in it, nor is what the
    allocator loses by rounding.

    Args:
        module: any module that fake tensors can pass through, on any device.
        batch: a whole batch, real or fake; only its shapes matter.
        step: ``step(module, batch)`` returns the loss; a LightningModule's ``training_step`` if not given.
        optimizer: over the module's parameters; without one no step is made.
        autocast: the dtype of mixed precision.
        micro_batch: samples to take at a time, with gradients accumulated; the whole batch if not given.

    Raises:
        UsageError: if there is no step.

    >>> import torch.nn.functional as F
    >>> linear = nn.Linear(100, 10)
    >>> sgd = torch.optim.SGD(linear.parameters(), lr=0.1)
    >>> batch = torch.zeros(50, 100), torch.zeros(50, dtype=torch.int64)
    >>> peak = predict_peak(linear, batch, step=lambda m, b: F.cross_entropy(m(b[0]), b[1]), optimizer=sgd)
    >>> peak.parameters, peak.batch
    (4040, 20400)
    """
    device = next((p.device.type for p in module.parameters()), "cpu")

    def context() -> AbstractContextManager[Any]:
        return nullcontext() if autocast is None else torch.autocast(device, autocast)

    return Rehearsal(module, batch, step, optimizer, context).peak(micro_batch)


class Rehearsal:
    """Training steps of a copy without contents. See :func:`predict_peak`.

    Args:
        module: as there.
        batch: as there.
        step: as there.
        optimizer: as there.
        context: makes the context in which ``step`` is called.
    """

    def __init__(
        self,
        module: nn.Module,
        batch: Any,
        step: Step | None = None,
        optimizer: Optimizer | None = None,
        context: Context = nullcontext,
    ) -> None:
        if step is None:
            if not isinstance(module, LightningModule):
                raise UsageError("Expected `step`, which computes the loss of a batch, for a module that has none.")
            step = _training_step
        self._step = step
        self._context = context
        self.samples = batch_size(batch)
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        memo: dict[int, Any] = {}
        if isinstance(module, LightningModule) and module._trainer is not None:
            memo[id(module._trainer)] = None  # it is no part of the module
        with FakeCopyMode(self._fake):
            self._module, self._optimizer = copy.deepcopy((module, optimizer), memo)
        self._batch = tree_map(self._faked, batch)
        self._peaks: dict[int, Peak] = {}
        # The first step makes the gradients and what the optimiser remembers.
        self._take(min(2, self.samples))

    def peak(self, micro_batch: int | None = None) -> Peak:
        """The peak of a step that takes so many samples at a time, by default all of them at once."""
        size = min(micro_batch or self.samples, self.samples)
        if size not in self._peaks:
            self._peaks[size] = self._take(size)
        return self._peaks[size]

    def _take(self, size: int) -> Peak:
        accumulating = size < self.samples
        live = LiveBytes()
        self._mark(live)
        handles = [
            parameter.register_post_accumulate_grad_hook(lambda p: live.mark(p.grad, "gradients"))
            for parameter in self._module.parameters()
            if parameter.requires_grad
        ]

        def keep(tensor: Tensor) -> Tensor:
            live.mark_others(tensor, "activations")
            return tensor

        try:
            with self._fake, live, dispatch.rehearsing(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=r"You are trying to `self\.log\(\)` but")
                live.start()
                batch = part(self._batch, 0, size) if accumulating else self._batch
                with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), self._context():
                    loss = self._step(self._module, batch)
                if not accumulating:
                    self._module.zero_grad()
                loss.backward()
                del loss, batch
                if self._optimizer is not None:
                    self._optimizer.step()
        finally:
            for handle in handles:
                handle.remove()
        parts = live.parts
        return Peak(
            parameters=parts.get("parameters", 0),
            gradients=parts.get("gradients", 0),
            optimizer=parts.get("optimizer", 0),
            batch=parts.get("batch", 0),
            activations=parts.get("activations", 0),
            workspace=parts.get(OTHER, 0),
        )

    def _mark(self, live: LiveBytes) -> None:
        state = [] if self._optimizer is None else tree_leaves(list(self._optimizer.state.values()))
        parameters = list(self._module.parameters())
        kept = [value for m in self._module.modules() for value in vars(m).values() if not isinstance(value, nn.Module)]
        for kind, tensors in (
            ("parameters", tree_leaves(kept)),
            ("gradients", [p.grad for p in parameters]),
            ("optimizer", state),
            ("batch", tree_leaves(self._batch)),
            ("parameters", [*parameters, *self._module.buffers()]),
        ):
            for tensor in tensors:
                if isinstance(tensor, Tensor):
                    live.mark(tensor, kind)

    def _faked(self, leaf: Any) -> Any:
        return self._fake.from_tensor(leaf) if isinstance(leaf, Tensor) else leaf


def largest_micro_batch(rehearsal: Rehearsal, allowed: float) -> tuple[int, Peak] | None:
    """The most samples that a step can take at a time within so many bytes, and its peak; None if there are none.

    To within 2 %: a batch is divided evenly, so that the last samples seldom change the number of its parts.
    """
    most = rehearsal.samples
    peak = rehearsal.peak()
    if peak.total <= allowed:
        return most, peak
    above, high = peak.total, most
    for low in (min(2, most - 1), 1):  # normalisation over a batch needs two
        if low and (peak := rehearsal.peak(low)).total <= allowed:
            break
    else:
        return None
    halve = False
    while high - low > max(1, low // 50):
        # The peak is nearly a straight line; halving helps where it is not.
        share = 0.5 if halve else (allowed - peak.total) / (above - peak.total)
        middle = min(max(low + int(share * (high - low)), low + 1), high - 1)
        found = rehearsal.peak(middle)
        if found.total <= allowed:
            low, peak = middle, found
        else:
            high, above = middle, found.total
        halve = not halve
    return low, peak


def _training_step(module: Any, batch: Any) -> Tensor:
    """The loss that a LightningModule's training step returns."""
    takes_index = "batch_idx" in inspect.signature(module.training_step).parameters
    result = module.training_step(batch, 0) if takes_index else module.training_step(batch)
    return result["loss"] if isinstance(result, dict) else result
