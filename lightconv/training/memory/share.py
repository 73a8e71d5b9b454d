"""What there is to share: how much of a budget is left for the tensors of a training step."""

from collections.abc import Callable
from pathlib import Path

import torch

GIBIBYTE = 2**30

_TENTH = 1.1
_HOLES = 1.5

_PROGRAM = 1.25 * GIBIBYTE
_CONTEXT = GIBIBYTE


def margin(device: torch.device) -> float:
    """What the memory of a process grows by, for each byte that its tensors hold.

    Predictions are right to within 10 %. On a CPU the C library keeps blocks that tensors have left, and finds others
    too small: 1.48 bytes for a byte were measured.
    """
    return _TENTH if device.type == "cuda" else _HOLES


def process_share() -> int:
    """Bytes on the CPU that are not a training step's: Python, libraries, data in memory.

    As long as the process holds no more than 1.25 GiB, that is the answer, so that two runs of one configuration
    come to the same micro-batch; beyond, what it does hold, in quarters of a GiB.
    """
    try:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * _page_size()
    except OSError:
        resident = 0  # no such file on other systems
    quarter = GIBIBYTE // 4
    return max(int(_PROGRAM), -(-resident // quarter) * quarter)


def _page_size() -> int:
    import resource

    return resource.getpagesize()


def context_share(device: torch.device) -> int:
    """Bytes that this process's CUDA context takes on a GPU, kernels of the libraries included.

    CUDA tells what is in use on the whole GPU. Where that is more than 1 GiB beyond our own tensors, somebody else
    is at work there too, and 1 GiB is taken, which is more than contexts need.
    """
    free, total = torch.cuda.mem_get_info(device)
    return min(total - free - torch.cuda.memory_reserved(device), _CONTEXT)


def cap(device: torch.device, bytes_for_tensors: float) -> Callable[[], None]:
    """Let PyTorch's allocator on a GPU hand out no more than this; returns what takes that back."""
    total = torch.cuda.mem_get_info(device)[1]
    before = torch.cuda.get_per_process_memory_fraction(device)
    torch.cuda.set_per_process_memory_fraction(min(1.0, bytes_for_tensors / total), device)
    return lambda: torch.cuda.set_per_process_memory_fraction(before, device)
