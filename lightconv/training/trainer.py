"""The Trainer of the command line: precision that follows the hardware, and a loop that is not profiled."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.profilers import PassThroughProfiler, Profiler

Settled = Literal["64-true", "32-true", "16-true", "bf16-true", "16-mixed", "bf16-mixed", "64", "32", 64, 32]
Precision = Literal["auto"] | Settled


class RunTrainer(Trainer):
    """Lightning's Trainer with two other defaults.

    Args:
        precision: ``"auto"`` means what :func:`precision_of` says; otherwise Lightning's names.
        profiler: Lightning's; without one, nothing is spent on asking whether there is one.
        **options: the Trainer's.
    """

    def __init__(
        self, *, precision: Precision = "auto", profiler: Profiler | str | None = None, **options: Any
    ) -> None:
        settled = precision_of(options.get("accelerator", "auto")) if precision == "auto" else precision
        super().__init__(precision=settled, profiler=profiler or Unprofiled(), **options)
        if lightning.__version__.startswith("2.6."):
            # it repeats what this version's own loop does inside: another has its own, and perhaps no such insides
            from lightconv.training.lean_loop import LeanLoop

            LeanLoop.install(self)


def precision_of(accelerator: Any = "auto") -> Settled:
    """The precision that the hardware is made for, by the name that Lightning's Trainer takes.

    - a GPU that computes in bfloat16 (Ampere and later): ``"bf16-mixed"``;
    - one with tensor cores for half precision only (Volta, Turing): ``"16-mixed"``, whose gradients are scaled;
    - anything else, a CPU above all: ``"32-true"``.

    Args:
        accelerator: what the Trainer is given; ``"auto"`` takes a GPU where there is one.

    >>> precision_of("cpu")
    '32-true'
    """
    if accelerator not in ("auto", "gpu", "cuda") or not torch.cuda.is_available():
        return "32-true"
    capability = min(torch.cuda.get_device_capability(device) for device in range(torch.cuda.device_count()))
    if capability >= (8, 0):
        return "bf16-mixed"
    return "16-mixed" if capability >= (7, 0) else "32-true"


class Unprofiled(PassThroughProfiler):
    """Measures nothing. Lightning asks its profiler some fifty times a step; this one answers at no cost."""

    _nothing: AbstractContextManager[None] = nullcontext()

    def profile(self, action_name: str) -> Any:
        """A context in which nothing is measured."""
        return self._nothing
