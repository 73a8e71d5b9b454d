"""Time several things in turn in one process, so that a machine's drift meets them alike.

Every benchmark here uses this: `measure` runs its candidates A, B, A, B, ... and returns the median of each;
quote ratios of medians, not seconds.
"""

import gc
import platform
import statistics
import time
from collections.abc import Callable, Mapping

import torch


def clock() -> Callable[[], float]:
    """Of the process with one thread, so that other processes count less; else that of the wall."""
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def measure(
    candidates: Mapping[str, Callable[[], object]], repeats: int = 15, seconds: float = 0.02
) -> dict[str, float]:
    """Median seconds a call of each candidate, measured in turn.

    Args:
        candidates: what to call, by name.
        repeats: rounds; each round times every candidate once.
        seconds: least duration of one timing: fast candidates are called several times in a row.
    """
    now = clock()
    calls: dict[str, int] = {}
    for name, function in candidates.items():
        function()
        start = now()
        function()
        calls[name] = max(1, round(seconds / max(1e-9, now() - start)))
    times: dict[str, list[float]] = {name: [] for name in candidates}
    enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(repeats):
            for name, function in candidates.items():
                start = now()
                for _ in range(calls[name]):
                    function()
                times[name].append((now() - start) / calls[name])
    finally:
        if enabled:
            gc.enable()
    return {name: statistics.median(values) for name, values in times.items()}


def processor() -> str:
    """What the processor calls itself."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def machine() -> str:
    """One line about what the figures were measured on."""
    threads = f"{torch.get_num_threads()} thread(s)"
    return f"torch {torch.__version__}, Python {platform.python_version()}, {processor()}, {threads}"
