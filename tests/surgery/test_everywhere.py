"""Functions of torch answered by ours, in code that knows nothing of it."""

import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from whole_models import MODELS, make

import lightconv

PARTS = ("conv", "pool", "upsample", "im2col", "col2im")


class Operators(TorchDispatchMode):
    """Names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(f"{func.namespace}.{func._opname}")
        return func(*args, **(kwargs or {}))


def vendors(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("aten.") and any(part in name for part in PARTS)}


@pytest.mark.parametrize("name", MODELS)
def test_whole_models_run_on_our_functions(name: str) -> None:
    model, x = make(name)
    model.eval()
    expected = model(x)
    with Operators() as plain:
        model(x)
    assert vendors(plain.names)
    with lightconv.everywhere(), Operators() as seen:
        y = model(x)
    assert vendors(seen.names) == set()
    torch.testing.assert_close(y, expected, rtol=1e-9, atol=1e-9)


def calls(x: Tensor) -> list[Any]:
    """Functions in the many forms in which they are called."""
    signal, volume = x[:, :, 0], x.unsqueeze(2)
    pooled, indices = F.max_pool2d(x, 2, return_indices=True)
    return [
        F.conv1d(signal, torch.ones(4, 4, 3).double(), padding=1),
        torch.conv2d(x, torch.ones(4, 4, 3, 3).double()),
        F.conv_transpose3d(volume, torch.ones(4, 2, 1, 2, 2).double(), stride=2),
        F.max_pool2d(x, kernel_size=2, stride=1),
        torch.max_pool2d(x, 2),
        F.max_pool1d_with_indices(signal, 3),
        F.adaptive_max_pool2d(x, 3, True),
        F.adaptive_avg_pool3d(volume, (1, 2, 3)),
        F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        pooled,
        F.max_unpool2d(pooled, indices, 2),
        F.interpolate(x, scale_factor=1.5, mode="bicubic"),
        F.fold(F.unfold(x, 3), (8, 8), 3),
        F.relu(x),
        torch.nn.MaxPool2d(2, return_indices=True)(x),
        torch.nn.LPPool1d(2, 3)(signal).shape,
    ]


def test_every_form_of_a_call() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    expected = calls(x)
    with lightconv.everywhere(), Operators() as seen:
        found = calls(x)
    torch.testing.assert_close(found, expected)
    # lp_pool calls avg_pool from within PyTorch's own code
    assert vendors(seen.names) <= {"aten.avg_pool2d", "aten.avg_pool1d"}


def test_it_ends_with_the_block() -> None:
    x, w = torch.ones(1, 1, 4), torch.ones(1, 1, 2)
    with pytest.raises(ZeroDivisionError), lightconv.everywhere():
        raise ZeroDivisionError
    with Operators() as seen:
        F.conv1d(x, w)
    assert vendors(seen.names)


def test_gradients_and_nesting() -> None:
    x = torch.randn(1, 1, 6, dtype=torch.float64, requires_grad=True)
    w = torch.randn(1, 1, 3, dtype=torch.float64, requires_grad=True)
    expected = torch.autograd.grad(F.conv1d(x, w).square().sum(), (x, w))
    with lightconv.everywhere(), lightconv.everywhere():
        found = torch.autograd.grad(F.conv1d(x, w).square().sum(), (x, w))
    torch.testing.assert_close(found, expected)


def test_backend_keeps_its_meaning() -> None:
    x, w = torch.ones(1, 1, 4), torch.ones(1, 1, 2)
    with lightconv.everywhere(), lightconv.backend("aten"), Operators() as seen:
        F.conv1d(x, w)
    assert vendors(seen.names)


def test_surgery_loads_nothing_heavy() -> None:
    code = "import sys, lightconv; lightconv.convert, lightconv.fuse; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "lightconv.surgery.fuse" in loaded
    for heavy in ("torchvision", "lightning", "onnx", "onnxscript", "onnxruntime", "scipy", "matplotlib", "sklearn"):
        assert heavy not in loaded
