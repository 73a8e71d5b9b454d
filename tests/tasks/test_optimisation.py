import pytest
import torch

from lightconv.tasks.optimisation import make_optimizer, make_schedule


def rates(name: str, steps: int = 50, **options: int) -> list[float]:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = make_optimizer("sgd", [parameter], 0.2, 0.9, 0.0)
    schedule = make_schedule(name, optimizer, 0.2, steps, options.get("steps_to_halve", 1))
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_one_cycle_rises_for_a_fifth_then_falls():
    seen = rates("one_cycle", 101)
    top = seen.index(max(seen))
    assert top == pytest.approx(20, abs=1)
    assert max(seen) == pytest.approx(0.2, rel=1e-3)
    assert seen[: top + 1] == sorted(seen[: top + 1])
    assert seen[top:] == sorted(seen[top:], reverse=True)
    assert seen[-1] < 1e-3 * max(seen)


def test_halving():
    assert rates("halving", 7, steps_to_halve=3) == [0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.05]


def test_constant():
    assert set(rates("constant")) == {0.2}


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
