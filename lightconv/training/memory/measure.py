"""What a training step does need, by the allocator's own account."""

from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile


def measured_peak(run: Callable[[], Any]) -> int:
    """The largest number of bytes on the CPU that tensors made by ``run()`` hold at once.

    PyTorch's profiler notes every block that its allocator hands out or takes back, operators' own scratch memory
    included. Tensors that were there before do not count.

    >>> import torch
    >>> measured_peak(lambda: torch.zeros(1000).clone())
    8000
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    blocks: dict[int, int] = {}
    now = peak = 0
    for event in _allocations(profiler.profiler.kineto_results.experimental_event_tree()):
        if event.alloc_size > 0:
            blocks[event.ptr] = event.alloc_size
            now += event.alloc_size
            peak = max(peak, now)
        else:
            now -= blocks.pop(event.ptr, 0)  # a block from before, if it is not known
    return peak


def _allocations(nodes: Any) -> list[Any]:
    """In the order of time; sizes of blocks taken back are negative."""
    found, waiting = [], list(nodes)
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if node.tag.name == "Allocation":
            found.append(node)
    return [node.extra_fields for node in sorted(found, key=lambda node: node.start_time_ns)]
