"""Compiled CPU kernels behind the functions: optional, and never another result than the definition's.

The sources are portable C++ without headers of Python or torch, compiled when the package is installed, once for
each instruction set; the best that the CPU has is chosen when the library is loaded. Where there is no library, or
no kernel for a case, the definition runs. Results do not depend on the number of threads, which is torch's.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lightconv.kernels import averages, blocks, conv, pixels, pooling, resampling
from lightconv.kernels.library import function, functions

KERNELS: dict[str, Callable[..., Any]] = {
    "conv": conv.conv,
    "conv_transpose": conv.conv_transpose,
    "conv_weight": conv.conv_weight,
    "conv_max_pool_relu": blocks.conv_max_pool_relu,
    "conv_max_pool_relu_input": blocks.conv_max_pool_relu_input,
    "conv_max_pool_relu_weight": blocks.conv_max_pool_relu_weight,
    "max_pool": pooling.max_pool,
    "max_pool_winners": pooling.max_pool_winners,
    "max_pool_spread": pooling.max_pool_spread,
    "avg_pool": averages.avg_pool,
    "avg_pool_spread": averages.avg_pool_spread,
    "max_unpool": pooling.max_unpool,
    "place": pooling.place,
    "max_bins": resampling.max_bins,
    "resample": resampling.resample,
    "resample_bytes": pixels.resample_bytes,
}
"""By operation, or part of some: a function of its arguments that returns the result, or None if it has no kernel."""


# the functions in which they spend their time, where these have other names
_FUNCTIONS = {
    "conv_max_pool_relu_input": "block_input",
    "conv_max_pool_relu_weight": "block_weight",
    "max_pool_winners": "max_pool",
}


def available() -> bool:
    """Whether there are compiled kernels that this CPU can run."""
    return bool(functions())


def covers(name: str, args: tuple[Any, ...]) -> bool:
    """Whether an operation has a kernel for tensors of this kind: float32 on the CPU, or bfloat16 where it has that.

    A kernel may still decline a rare geometry.
    """
    tensors = [a for a in args if isinstance(a, Tensor)]
    dtypes = {t.dtype for t in tensors if t.is_floating_point()}
    if name not in KERNELS or not available() or len(dtypes) != 1 or not all(t.device.type == "cpu" for t in tensors):
        return False
    (dtype,) = dtypes
    return dtype is torch.float32 or function(_FUNCTIONS.get(name, name), dtype) is not None
