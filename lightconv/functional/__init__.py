"""The layers as pure functions, with the names and signatures of torch.nn.functional.

A name that is not ours is torch's own, so that `import lightconv.functional as F` is a drop-in.
"""

from typing import Any

import torch.nn.functional

from lightconv.functional.adaptive_avg_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from lightconv.functional.adaptive_max_pooling import (
    adaptive_max_pool1d,
    adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d,
    adaptive_max_pool2d_with_indices,
    adaptive_max_pool3d,
    adaptive_max_pool3d_with_indices,
)
from lightconv.functional.avg_pooling import avg_pool1d, avg_pool2d, avg_pool3d
from lightconv.functional.blocks import conv_max_pool_relu
from lightconv.functional.conv import conv1d, conv2d, conv3d
from lightconv.functional.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from lightconv.functional.max_pooling import (
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
)
from lightconv.functional.pooling import subsample
from lightconv.functional.resampling import interpolate
from lightconv.functional.unfolding import fold, unfold
from lightconv.functional.unpooling import max_unpool1d, max_unpool2d, max_unpool3d
from lightconv.functional.upsampling import duplicate, upsample_bilinear_zeros

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_max_pool_relu",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "duplicate",
    "fold",
    "interpolate",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "subsample",
    "unfold",
    "upsample_bilinear_zeros",
]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(torch.nn.functional, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(torch.nn.functional)})
