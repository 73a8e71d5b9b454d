"""Taking back a step that did not come to its end."""

from collections.abc import Iterable
from typing import Any

from lightning.fabric.utilities.seed import _collect_rng_states, _set_rng_states
from torch import Tensor
from torch.nn import Module
from torchmetrics import Metric

_EVERYWHERE = set(vars(Module()))


class Before:
    """How things were before a training step, as far as the step may change them before the optimiser's turn.

    That is the random state, buffers (such as the running statistics of BatchNorm), metrics, lists, dictionaries and
    numbers that modules keep, what has been logged, and, where they are still to grow, gradients.

    Args:
        module: the one that is trained.
        logged: what has been logged, by name; a dictionary that the step adds to.
        keep_gradients: whether gradients of earlier batches are to be kept; otherwise :meth:`restore` drops all.
    """

    def __init__(self, module: Module, logged: dict[str, Any], keep_gradients: bool = False) -> None:
        self._parameters = list(module.parameters())
        self._gradients = [_copy(p.grad) if keep_gradients else None for p in self._parameters]
        self._random = _collect_rng_states()
        self._buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]
        self._logged, self._names = logged, set(logged)
        self._notes = [(kept, *note) for kept in map(vars, module.modules()) for note in _notes(kept)]
        metrics = [m for m in module.modules() if isinstance(m, Metric)]
        self._metrics = _states([*metrics, *logged.values()])

    def restore(self) -> None:
        """Put everything back."""
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = _copy(gradient)
        _set_rng_states(self._random)
        for buffer, value in self._buffers:
            buffer.copy_(value)
        for kept, name, value, content in self._notes:
            kept[name] = value
            if isinstance(value, list):
                value[:] = content
            elif isinstance(value, dict):
                value.clear()
                value.update(content)
        for name in set(self._logged) - self._names:
            del self._logged[name]
        for metric, count, states in self._metrics:
            metric._update_count, metric._computed = count, None
            for name, value in states.items():
                setattr(metric, name, _copy(value))


def _notes(kept: dict[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    """Attributes of a module that are plain data: name, value, and the content of a list or dictionary."""
    for name, value in kept.items():
        if name in _EVERYWHERE:
            continue
        if isinstance(value, (list, dict)):
            yield name, value, value.copy()
        elif value is None or isinstance(value, (int, float, str)):
            yield name, value, None


def _states(metrics: Iterable[Metric]) -> list[tuple[Metric, int, dict[str, Any]]]:
    return [
        (metric, metric._update_count, {name: _copy(value) for name, value in metric.metric_state.items()})
        for metric in metrics
    ]


def _copy(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    return list(value) if isinstance(value, list) else value
