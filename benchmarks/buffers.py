"""Large buffers kept by the process instead of given back to the system after each use.

By default glibc maps large blocks anew each time, and the system clears their pages: much of a plain training step
on a CPU. This is the same for every library in the process, so it is switched on for all candidates or for none.
"""

import ctypes
import ctypes.util

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def reuse_buffers() -> bool:
    """Keep freed memory for the rest of the process; returns whether this C library can do so."""
    try:
        mallopt = ctypes.CDLL(ctypes.util.find_library("c")).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, 1 << 30) and mallopt(_TRIM_THRESHOLD, 2**31 - 1))
