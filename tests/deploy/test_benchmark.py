"""Times side by side."""

from pathlib import Path

import pytest
import torch

import lightconv.nn as nn
from lightconv.deploy.benchmark import benchmark, in_torch
from lightconv.deploy.runtime import InputError


def test_onnxruntime_beside_the_same_network_in_pytorch() -> None:
    result = benchmark("mnist1d", (1, 8), rounds=3)
    assert list(result.milliseconds) == ["onnxruntime", "PyTorch, lightconv.nn", "PyTorch, torch.nn"]
    assert all(len(times) == 2 and min(times) > 0 for times in result.milliseconds.values())
    heading, first, *_ = str(result).splitlines()
    assert heading.split() == ["batch", "of", "1", "batch", "of", "8"]
    assert first.split()[:4] == ["onnxruntime", f"{result.milliseconds['onnxruntime'][0]:.3f}", "ms", "1.00x"]


def test_a_network_of_torchs_layers_only_computes_the_same() -> None:
    ours = nn.Sequential(nn.ConvMaxPoolReLU(1, 3, 3, padding=1, pool_size=3), nn.Conv2d(3, 2, 2, groups=1)).eval()
    theirs = in_torch(ours)
    assert not any(type(part).__module__.startswith("lightconv") for part in theirs.modules())
    x = torch.randn(2, 1, 9, 12)
    torch.testing.assert_close(theirs(x), ours(x))


def test_an_unknown_network_is_timed_in_onnxruntime_only(image_model: Path) -> None:
    assert list(benchmark(image_model, (2,), rounds=1).milliseconds) == ["onnxruntime"]


def test_batch_sizes_out_of_range(image_model: Path) -> None:
    for sizes in ((), (0,)):
        with pytest.raises(InputError, match="`batch_sizes`"):
            benchmark(image_model, sizes)
