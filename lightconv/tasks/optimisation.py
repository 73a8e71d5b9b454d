"""Optimisers and learning-rate schedules by name."""

from collections.abc import Iterable
from typing import Literal, get_args

import torch
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

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
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=learning_rate, betas=(momentum, 0.99), fused=True)
    return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum, fused=True)


def make_schedule(
    name: ScheduleName, optimizer: Optimizer, learning_rate: float, steps: int, steps_to_halve: int
) -> LRScheduler:
    """A schedule that is advanced once a step.

    - ``one_cycle``: from a 25th of ``learning_rate`` up to it in the first fifth of ``steps``, then down to
      nearly nothing along a cosine (L. N. Smith and N. Topin, "Super-Convergence", 2018), momentum unchanged;
    - ``halving``: halved after every ``steps_to_halve`` steps;
    - ``constant``.
    """
    if name == "one_cycle":
        return OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.2, cycle_momentum=False)
    if name == "halving":
        return LambdaLR(optimizer, lambda step: 0.5 ** (step // steps_to_halve))
    return LambdaLR(optimizer, lambda step: 1.0)
