"""Known architectures, converted: the same outputs, gradients and training step, the same as ONNX, and back again."""

import copy

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from whole_models import MODELS, make

import lightconv
from lightconv.deploy import to_onnx


def kinds(model: nn.Module) -> list[tuple[str, type]]:
    return [(name, type(module)) for name, module in model.named_modules()]


def ours(model: nn.Module) -> int:
    return sum(type(module).__module__.startswith("lightconv.") for module in model.modules())


def step(model: nn.Module, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """One step of SGD with momentum in training mode: the loss, and everything in the state afterwards."""
    torch.manual_seed(1)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    y = model(x)
    loss = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)).sum()
    loss.backward()
    optimizer.step()
    return loss.detach(), model.state_dict()


@pytest.mark.parametrize("name", MODELS)
def test_outputs_gradients_and_a_training_step_are_equal(name: str) -> None:
    model, x = make(name)
    twin = copy.deepcopy(model)
    converted = lightconv.convert(twin, report=lambda summary: None)
    assert ours(converted) == sum(isinstance(m, tuple(REPLACED)) for m in model.modules()) > 1
    torch.testing.assert_close(converted.eval()(x), model.eval()(x), rtol=1e-9, atol=1e-9)
    expected, got = step(model, x), step(converted, x)
    torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-9)
    for (key, theirs), mine in zip(model.named_parameters(), converted.parameters(), strict=True):
        largest = theirs.grad.abs().max()
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-6, atol=1e-8 * float(largest) + 1e-12, msg=key)
    reverted = lightconv.revert(converted)
    assert kinds(reverted) == kinds(model)
    assert all(a is b for a, b in zip(reverted.parameters(), twin.parameters(), strict=True))
    assert torch.equal(reverted.eval()(x), twin.eval()(x))


REPLACED = [getattr(nn, name) for name in lightconv.nn.__all__ if hasattr(nn, name)]
SLOW = ("mobilenet_v3_small", "vgg11_bn")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.long] if n in SLOW else []) for n in MODELS])
def test_converted_models_export_and_agree_in_onnxruntime(name: str, tmp_path) -> None:
    model, x = make(name, torch.float32)
    path = tmp_path / "model.onnx"
    report = to_onnx(lightconv.convert(model, report=lambda summary: None), x, path)
    convolutions = sum(isinstance(m, nn.Conv2d) for m in model.modules())
    assert report.nodes["Conv"] == convolutions
    if name == "segnet":
        assert report.nodes == {"Conv": 5, "MaxPool": 2, "MaxUnpool": 2, "Relu": 4}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        x = torch.randn(batch, *x.shape[1:])
        (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        expected = model.eval()(x).detach()
        torch.testing.assert_close(torch.from_numpy(y), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
