"""Small random displacements of pictures, a whole batch at a time."""

import math

import numpy as np
import torch
from torch import Tensor

import lightconv.functional as F
from lightconv.errors import UsageError

SPACING = 7


class Augmentation:
    """Shifts, turns, scales and bends each picture of a batch by amounts of its own; outside of it all is zero.

    Shifts are whole pixels, so that a shift alone leaves every value as it is. Otherwise a pixel is read where it comes
    from, ``centre + R (position - centre) / s + shift + bend(position)``, and interpolated bilinearly. The bend is an
    elastic distortion: random at points seven pixels apart, normally distributed, and between them interpolated
    bicubically (P. Y. Simard et al., "Best Practices for Convolutional Neural Networks", ICDAR 2003; on a coarse grid
    as in O. Ronneberger et al., "U-Net", MICCAI 2015).

    Args:
        shift: greatest shift along each axis, in pixels.
        rotation: greatest angle either way, in degrees.
        scaling: greatest relative change of size either way, 0 <= scaling < 1.
        elastic: standard deviation of the bend along each axis at those points, in pixels.

    Raises:
        UsageError: if a number is out of its range.

    >>> picture = torch.eye(3).reshape(1, 1, 3, 3)
    >>> Augmentation()(picture, np.random.default_rng(0)) is picture
    True
    """

    def __init__(self, shift: int = 0, rotation: float = 0.0, scaling: float = 0.0, elastic: float = 0.0) -> None:
        if shift < 0:
            raise UsageError(f"Expected `shift` to be 0 or more pixels, but got {shift}.")
        if not 0 <= rotation <= 180:
            raise UsageError(f"Expected `rotation` to lie in 0 <= rotation <= 180 degrees, but got {rotation}.")
        if not 0 <= scaling < 1:
            raise UsageError(f"Expected `scaling` to lie in 0 <= scaling < 1, but got {scaling}.")
        if not 0 <= elastic < math.inf:
            raise UsageError(f"Expected `elastic` to be 0 or more pixels, but got {elastic}.")
        self.shift = shift
        self.rotation = rotation
        self.scaling = scaling
        self.elastic = elastic

    def __bool__(self) -> bool:
        """Whether it does anything."""
        return bool(self.shift or self.rotation or self.scaling or self.elastic)

    def __call__(self, x: Tensor, random: np.random.Generator) -> Tensor:
        """Pictures (N, C, H, W) of any dtype, displaced, on their device and in their dtype."""
        count, device = len(x), x.device
        if not self or not count:
            return x
        shift = torch.from_numpy(random.integers(-self.shift, self.shift + 1, (2, count))).to(device)
        if not (self.rotation or self.scaling or self.elastic):
            return _shifted(x, shift)
        angle = random.uniform(-self.rotation, self.rotation, count) * (math.pi / 180)
        scale = random.uniform(1 - self.scaling, 1 + self.scaling, count)
        turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)]) / scale
        bend = torch.zeros(2, count, 1, 1, device=device)
        if self.elastic:
            points = (2, count, *(round(size / SPACING) + 1 for size in x.shape[2:]))
            drawn = torch.from_numpy(random.standard_normal(points, np.float32)).to(device) * self.elastic
            bend = F.interpolate(drawn, size=tuple(x.shape[2:]), mode="bicubic", align_corners=True)
        return _displaced(x, torch.from_numpy(turn.astype(np.float32)).to(device), shift[:, :, None, None] + bend)


def _shifted(x: Tensor, shift: Tensor) -> Tensor:
    height, width = x.shape[2:]
    # A border of zeros stands for all that is outside; nothing has to be asked for each pixel then.
    rows = (_axis(height, x.device) + shift[0][:, None]).clamp(-1, height) + 1
    columns = (_axis(width, x.device) + shift[1][:, None]).clamp(-1, width) + 1
    places = (rows * (width + 2))[:, :, None] + columns[:, None, :]
    return _gathered(F.pad(x, (1, 1, 1, 1)), places)


def _displaced(x: Tensor, turn: Tensor, move: Tensor) -> Tensor:
    height, width = x.shape[2:]
    up, right = (height - 1) / 2, (width - 1) / 2
    down = (_axis(height, x.device) - up)[:, None]
    along = (_axis(width, x.device) - right)[None, :]
    (a, b, c, d), (dy, dx) = turn[:, :, None, None], move
    rows = torch.addcmul(a * down + (up + dy), b, along).clamp(-1, height) + 1
    columns = torch.addcmul(d * along + (right + dx), c, down).clamp(-1, width) + 1
    top, left = rows.floor(), columns.floor()
    below, beyond = (rows - top)[:, None], (columns - left)[:, None]
    places = top.long() * (width + 3) + left.long()
    padded = F.pad(x.to(turn.dtype), (1, 2, 1, 2))
    upper = torch.lerp(_gathered(padded, places), _gathered(padded, places + 1), beyond)
    places += width + 3
    lower = torch.lerp(_gathered(padded, places), _gathered(padded, places + 1), beyond)
    result = torch.lerp(upper, lower, below)
    return result.to(x.dtype) if x.is_floating_point() else result.round_().to(x.dtype)


def _gathered(x: Tensor, places: Tensor) -> Tensor:
    """Of each picture, the pixels at places (N, H, W), counted row by row."""
    count, channels = x.shape[:2]
    index = places.reshape(count, 1, -1).expand(-1, channels, -1)
    return x.reshape(count, channels, -1).gather(2, index).reshape(count, channels, *places.shape[1:])


def _axis(size: int, device: torch.device) -> Tensor:
    return torch.arange(size, device=device)
