"""Optimisers and learning-rate schedules by name."""

from collections.abc import Iterable
from typing import Any, Literal, get_args

import torch
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, StepLR

from lightconv.errors import UsageError

OptimizerName = Literal["adamw", "sgd"]
ScheduleName = Literal["one_cycle", "halving", "constant"]


def check_names(optimizer: str, schedule: str) -> None:
    """Raise UsageError unless both are known."""
    for what, name, known in (("optimizer", optimizer, OptimizerName), ("schedule", schedule, ScheduleName)):
        if name not in get_args(known):
            raise UsageError(f"Expected `{what}` to be one of {', '.join(get_args(known))}, but got {name!r}.")


def make_optimizer(
    name: OptimizerName,
    parameters: Iterable[Parameter],
    learning_rate: float,
    momentum: float,
    weight_decay: float,
) -> Optimizer:
    """AdamW (whose first beta is ``momentum``, the second 0.99) or SGD with momentum.

    ``weight_decay`` applies to weights only: biases and the scales of normalisation layers have one axis and are
    left alone.
    """
    parameters = list(parameters)
    groups: list[dict[str, Any]] = [{"params": parameters, "weight_decay": 0.0}]
    if weight_decay:
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=learning_rate, betas=(momentum, 0.99), fused=True)
    return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum, fused=True)


def one_cycle(optimizer: Optimizer, learning_rate: float, steps: int) -> LRScheduler:
    """A schedule that is advanced after each of ``steps`` steps.

    From a 25th of ``learning_rate`` up to it in the first fifth, then down to nearly nothing along a cosine (L. N.
    Smith and N. Topin, "Super-Convergence", 2018), momentum unchanged.
    """
    return OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.2, cycle_momentum=False)


def halving(optimizer: Optimizer, every: int) -> LRScheduler:
    """A schedule that is advanced after each epoch: half the learning rate after every so many."""
    return StepLR(optimizer, every, gamma=0.5)
