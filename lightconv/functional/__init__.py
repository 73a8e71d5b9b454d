"""The layers as pure functions, with the names and signatures of torch.nn.functional.

A name that is not ours is torch's own, so that `import lightconv.functional as F` is a drop-in.
"""

from typing import Any

import torch.nn.functional

from lightconv.functional.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from lightconv.functional.unfolding import fold, unfold

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "fold",
    "unfold",
]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(torch.nn.functional, name)
