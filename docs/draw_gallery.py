"""Draw what each layer does to the same photograph: the pictures of gallery.md.

    python docs/draw_gallery.py

The photograph comes with scikit-learn; see practice.py for its author.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import lightconv.nn as nn

sys.path.append(str(Path(__file__).parent / "tutorials"))
from practice import photograph

PICTURES = Path(__file__).parent / "pictures" / "gallery"
SIDE, GAP = 240, 12  # pixels

BLUR = torch.full((5, 5), 1 / 25)
EDGES = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
TENT = torch.tensor([[1.0, 2, 1]]).T @ torch.tensor([[1.0, 2, 1]]) / 4


class Entry(NamedTuple):
    """A layer as one writes it, its weights if it has any, and what it is applied to."""

    layer: str
    kernel: Tensor | None = None
    to: str = "photograph"


GALLERY = {
    "conv": Entry("nn.Conv2d(3, 3, 5, padding=2, groups=3)", BLUR),
    "conv_edges": Entry("nn.Conv2d(3, 3, 3, padding=1, groups=3)", EDGES),
    "conv_stride": Entry("nn.Conv2d(3, 3, 5, stride=4, padding=2, groups=3)", BLUR),
    "conv_dilation": Entry("nn.Conv2d(3, 3, 5, padding=12, dilation=6, groups=3)", BLUR),
    "conv_reflect": Entry('nn.Conv2d(3, 3, 5, padding=12, dilation=6, groups=3, padding_mode="reflect")', BLUR),
    "conv_mix": Entry("nn.Conv2d(3, 3, 1)", torch.eye(3).roll(1, 0)),
    "conv_max_pool_relu": Entry("nn.ConvMaxPoolReLU(3, 3, 3, padding=1, groups=3, pool_size=4)", EDGES),
    "conv_transpose": Entry(
        "nn.ConvTranspose2d(3, 3, 3, stride=2, padding=1, output_padding=1, groups=3)", TENT, "small"
    ),
    "max_pool": Entry("nn.MaxPool2d(5)"),
    "avg_pool": Entry("nn.AvgPool2d(5)"),
    "adaptive_max_pool": Entry("nn.AdaptiveMaxPool2d(16)"),
    "adaptive_avg_pool": Entry("nn.AdaptiveAvgPool2d(16)"),
    "subsample": Entry("nn.Subsample(5)"),
    "antialias": Entry('nn.functional.interpolate(x, size=48, mode="bilinear", antialias=True)'),
    "area": Entry('nn.functional.interpolate(x, size=48, mode="area")'),
    "max_unpool": Entry("nn.MaxUnpool2d(3)", to="maxima"),
    "duplicate": Entry("nn.Duplicate(8)", to="small"),
    "nearest": Entry("nn.UpsamplingNearest2d(scale_factor=8)", to="small"),
    "upsample": Entry('nn.Upsample(scale_factor=8, mode="bilinear")', to="small"),
    "bicubic": Entry('nn.Upsample(scale_factor=8, mode="bicubic")', to="small"),
    "corners": Entry("nn.UpsamplingBilinear2d(scale_factor=8)", to="small"),
    "bilinear_zeros": Entry("nn.BilinearZeros(8)", to="small"),
    "unfold": Entry("nn.Unfold(60, stride=60)"),
    "fold": Entry("nn.Fold(240, kernel_size=80, stride=40)", to="windows"),
}


def inputs() -> dict[str, tuple[Tensor, ...]]:
    """What the layers are applied to."""
    photo = photograph(SIDE)
    return {
        "photograph": (photo,),
        "small": (nn.AvgPool2d(8)(photo),),
        "maxima": nn.MaxPool2d(3, return_indices=True)(photo),
        "windows": (nn.Unfold(80, stride=40)(photo),),
    }


def layer(entry: Entry) -> Callable[..., Tensor]:
    """The layer, with the kernel in its weights."""
    if "(x, " in entry.layer:
        return eval(f"lambda x: {entry.layer}", {"nn": nn})
    module = eval(entry.layer, {"nn": nn})
    if entry.kernel is not None:
        kernel = entry.kernel
        module.weight.data = kernel.view(3, 3, 1, 1) if "3, 3, 1)" in entry.layer else kernel.expand_as(module.weight)
        module.bias.data.zero_()
    return module.requires_grad_(False)


def tiles(columns: Tensor, side: int) -> Tensor:
    """Windows as columns, (1, 3 * side * side, n * n), as a picture of windows with gaps between."""
    count = round(columns.shape[-1] ** 0.5)
    windows = columns[0].T.reshape(count, count, 3, side, side)
    framed = torch.nn.functional.pad(windows, (2, 2, 2, 2), value=1.0)
    return framed.permute(2, 0, 3, 1, 4).reshape(1, 3, count * (side + 4), count * (side + 4))


def before_and_after(name: str) -> tuple[Tensor, Tensor]:
    """Both as pictures, (3, H, W), from 0 to 1."""
    entry = GALLERY[name]
    given = inputs()[entry.to]
    before, after = given[0], layer(entry)(*given)
    if name == "conv_edges":
        after = 0.5 + after / 4  # grey where nothing changes
    elif name == "conv_max_pool_relu":
        after = after / 2
    elif name == "unfold":
        after = tiles(after, 60)
    elif name == "fold":
        before, after = tiles(before, 80), after / 4  # the sum of up to four windows
    return before[0].clamp(0, 1), after[0].clamp(0, 1)


def enlarged(picture: Tensor) -> Image.Image:
    """A picture at the size of all, its pixels as squares where it is small."""
    pixels = (255 * picture.permute(1, 2, 0)).round().byte().numpy()
    small = max(picture.shape[1:]) <= SIDE
    return Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS)


def draw(name: str) -> Image.Image:
    """Before, a gap, after."""
    strip = Image.fromarray(np.full((SIDE, 2 * SIDE + GAP, 3), 255, np.uint8))
    for number, picture in enumerate(before_and_after(name)):
        strip.paste(enlarged(picture), (number * (SIDE + GAP), 0))
    return strip


def main(folder: Path = PICTURES) -> None:
    """Draw every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in GALLERY:
        draw(name).save(folder / f"{name}.webp", quality=88, method=6)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
