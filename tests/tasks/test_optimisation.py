import pytest
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lightconv.tasks.optimisation import halving, make_optimizer, one_cycle


def optimiser() -> Optimizer:
    return make_optimizer("sgd", [torch.nn.Parameter(torch.zeros(1))], 0.2, 0.9, 0.0)


def rates(schedule: LRScheduler, advances: int) -> list[float]:
    seen = []
    for _ in range(advances):
        seen.append(schedule.optimizer.param_groups[0]["lr"])
        schedule.optimizer.step()
        schedule.step()
    return seen


def test_one_cycle_rises_for_a_fifth_then_falls():
    seen = rates(one_cycle(optimiser(), 0.2, steps=101), 101)
    top = seen.index(max(seen))
    assert top == pytest.approx(20, abs=1)
    assert max(seen) == pytest.approx(0.2, rel=1e-3)
    assert seen[: top + 1] == sorted(seen[: top + 1])
    assert seen[top:] == sorted(seen[top:], reverse=True)
    assert seen[-1] < 1e-3 * max(seen)


def test_halving():
    assert rates(halving(optimiser(), every=3), 7) == [0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.05]


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_decay_is_for_weights_only(name: str):
    layer = torch.nn.Linear(2, 3)
    torch.nn.init.ones_(layer.bias)
    before = layer.weight.detach().clone()
    optimizer = make_optimizer(name, layer.parameters(), 0.1, 0.9, weight_decay=0.5)
    layer.weight.grad, layer.bias.grad = torch.zeros_like(layer.weight), torch.zeros_like(layer.bias)
    optimizer.step()
    assert torch.allclose(layer.weight, before * (1 - 0.1 * 0.5))
    assert torch.equal(layer.bias, torch.ones(3))


def test_adamw_takes_momentum_for_its_first_beta():
    optimizer = make_optimizer("adamw", torch.nn.Linear(1, 1).parameters(), 0.1, 0.8, 0.0)
    assert {group["betas"] for group in optimizer.param_groups} == {(0.8, 0.99)}
