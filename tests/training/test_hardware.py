"""What the training program does for the machine it is on."""

import resource
import subprocess
import sys

import pytest
import torch

from lightconv.training.buffers import reuse_buffers
from lightconv.training.trainer import RunTrainer, precision_of


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((9, 0), "bf16-mixed"), ((8, 0), "bf16-mixed"), ((7, 5), "16-mixed"), ((6, 1), "32-true")],
)
def test_precision_follows_the_gpu(capability: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability if device else (9, 0))
    assert {precision_of(accelerator) for accelerator in ("auto", "gpu", "cuda")} == {expected}
    assert precision_of("cpu") == "32-true"


def test_no_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert precision_of("auto") == "32-true"


def test_the_trainer_takes_what_it_is_given():
    options = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    assert RunTrainer(**options).precision == "32-true"
    assert RunTrainer(precision="bf16-mixed", **options).precision == "bf16-mixed"
    profiled = RunTrainer(profiler="simple", **options)
    assert type(profiled.profiler).__name__ == "SimpleProfiler"


FAULTS = """
import resource
import subprocess
import torch
from lightconv.training.buffers import reuse_buffers

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(64 * 2**20, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

reuse_buffers()
print(min(faults() for _ in range(50)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a matter of Linux")
def test_large_blocks_are_not_fetched_again():
    if not reuse_buffers():
        pytest.skip("another C library than glibc")
    # in a process of its own, and many times: the heap may grow before it finds room again
    faults = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True).stdout
    assert int(faults) < 64 * 2**20 // resource.getpagesize() / 20
