"""The layers as Modules, with the names and signatures of torch.nn.

Each is a subclass of torch's class with its arithmetic replaced, so that parameters, state_dict keys,
initialisation and `isinstance` stay the same. A name that is not ours is torch's own, so that
`import lightconv.nn as nn` is a drop-in; `nn.functional` is `lightconv.functional`.
"""

import sys
from typing import TYPE_CHECKING, Any

import torch.nn

from lightconv import functional
from lightconv.nn.blocks import ConvMaxPoolReLU
from lightconv.nn.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    LazyConv1d,
    LazyConv2d,
    LazyConv3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
)
from lightconv.nn.folding import Fold, Unfold
from lightconv.nn.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    Subsample,
)
from lightconv.nn.unpooling import MaxUnpool1d, MaxUnpool2d, MaxUnpool3d
from lightconv.nn.upsampling import BilinearZeros, Duplicate, Upsample, UpsamplingBilinear2d, UpsamplingNearest2d

if TYPE_CHECKING:  # the names that __getattr__ finds
    from torch.nn import *  # type: ignore[assignment, no-redef]  # noqa: F403

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BilinearZeros",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvMaxPoolReLU",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Duplicate",
    "Fold",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "Subsample",
    "Unfold",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


sys.modules[f"{__name__}.functional"] = functional  # for `import lightconv.nn.functional as F`


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(torch.nn, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(torch.nn)})
