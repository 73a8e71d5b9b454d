"""What a training step does need, by the allocator's own account."""

from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile


def measured_peak(run: Callable[[], Any]) -> int:
    """The largest number of bytes on the CPU that tensors made by ``run()`` hold at once.

    PyTorch's profiler notes every block that its allocator hands out or takes back, operators' own scratch memory
    included. Tensors that were there before do not count.

    >>> import torch
    >>> measured_peak(lambda: torch.zeros(1000) + 1)
    8000
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events: list[tuple[int, int]] = []
    _collect(profiler.profiler.kineto_results.experimental_event_tree(), events)
    now = peak = 0
    for _, size in sorted(events, key=lambda event: event[0]):
        now += size
        peak = max(peak, now)
    return peak


def _collect(nodes: Any, events: list[tuple[int, int]]) -> None:
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if node.tag.name == "Allocation":
            events.append((node.start_time_ns, node.extra_fields.alloc_size))
