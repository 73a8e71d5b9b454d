"""What PyTorch's tracer would keep in memory after an export, let go of: in all half a megabyte each time.

It reaches for attributes that PyTorch does not document; where a version has none of that name, nothing happens.
"""

import contextlib
import linecache
from collections.abc import Iterator

import torch

__all__ = ["forget_sizes", "without_sources"]


def forget_sizes(exported: torch.export.ExportedProgram) -> None:
    """Let go of what was noted about open sizes; the program is of no use afterwards.

    The notes and the tracer's tensors hold each other through C++, where Python's collector does not look, and caches
    of the notes' class hold them as well.
    """
    modes = {getattr(node.meta.get("val"), "fake_mode", None) for node in exported.graph.nodes}
    for notes in {getattr(mode, "shape_env", None) for mode in modes} - {None}:
        vars(notes).clear()
        for method in vars(type(notes)).values():
            if hasattr(method, "cache_clear"):
                method.cache_clear()


@contextlib.contextmanager
def without_sources() -> Iterator[None]:
    """Let go of the source text of each graph made inside; torch.fx keeps it for tracebacks, twice."""
    before = set(linecache.cache)
    try:
        yield
    finally:
        kept = getattr(getattr(torch.fx.graph_module, "_loader", None), "eval_cache", {})
        for name in set(linecache.cache) - before:
            if name.startswith("<eval_with_key>"):
                linecache.cache.pop(name, None)
                kept.pop(name, None)
