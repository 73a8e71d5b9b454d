"""Counting the bytes that tensors hold."""

import weakref
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

OTHER = "other"


class LiveBytes(TorchDispatchMode):
    """Follows every storage that operations inside the block make, from its birth to its death.

    It sees what PyTorch's dispatcher sees: fake tensors as well as real ones, but not what one operator needs for
    itself while it runs.

    Args:
        limit: bytes; an operation that takes more raises ``torch.OutOfMemoryError``, as a GPU's allocator would.

    >>> with LiveBytes() as live:
    ...     x = torch.zeros(1000)
    ...     y = (x + 1).sum()
    >>> live.now, live.peak
    (4004, 8004)
    """

    def __init__(self, limit: float = float("inf")) -> None:
        super().__init__()
        self.limit = limit
        self.now = 0
        self.peak = 0
        self.parts: dict[str, int] = {}
        """What was live at the peak, by kind."""
        self._now: defaultdict[str, int] = defaultdict(int)
        self._storages: dict[int, tuple[int, str]] = {}

    def mark(self, tensor: Tensor, kind: str = OTHER) -> None:
        """Count a tensor's storage among those of a kind, also if it was made elsewhere."""
        self._count(tensor, lambda known: kind)
        self._top()

    def mark_others(self, tensor: Tensor, kind: str) -> None:
        """The same, unless it has a kind already."""
        self._count(tensor, lambda known: kind if known in (None, OTHER) else known)
        self._top()

    def start(self) -> None:
        """Measure the peak from now on."""
        self.peak = 0
        self._top()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and look at its results."""
        if func is torch.ops.aten._local_scalar_dense.default and isinstance(args[0], FakeTensor):
            # A fake tensor has no number to look at. Ordinary ones are finite and not zero, and nothing is wrong.
            return args[0].dtype != torch.bool
        if func is torch.ops.aten.sum.dim_IntList and args[0].dtype is torch.bool and not kwargs:
            # what that operator does first: the gradient of a maximum counts equals so
            args = (args[0].long(), *args[1:])
            self._count(args[0], lambda known: OTHER)
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor, lambda known: known or OTHER)
        self._top()
        if self.now > self.limit:
            raise torch.OutOfMemoryError(f"out of memory: {self.now:,} bytes are live, {self.limit:,} are allowed")
        return result

    def _count(self, tensor: Tensor, choose: Callable[[str | None], str]) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        before, known = self._storages.get(key, (0, None))
        kind = choose(known)
        if known is None:
            weakref.finalize(storage, self._forget, key).atexit = False
        elif (before, known) == (size, kind):
            return
        else:
            self._now[known] -= before
        self._storages[key] = (size, kind)
        self._now[kind] += size
        self.now += size - before

    def _forget(self, key: int) -> None:
        size, kind = self._storages.pop(key)
        self._now[kind] -= size
        self.now -= size

    def _top(self) -> None:
        if self.now >= self.peak:
            self.peak, self.parts = self.now, dict(self._now)
