"""What the data modules of pictures share: augmentation of the training batches."""

from typing import Any

import numpy as np

from lightconv.data.augmentation import Augmentation
from lightconv.data.module import InMemoryData, Part
from lightconv.errors import UsageError


class PictureData(InMemoryData):
    """Base of the data modules whose samples are pictures, uint8 (N, 1, H, W).

    Training batches are augmented on the device, after they have been moved there. The amounts are a function of
    (seed, epoch, batch, process), so that a resumed run repeats them.

    Args:
        root: folder of the data; by default ``$LIGHTCONV_DATA``, else ``data``.
        batch_size: pictures a batch (and process).
        val_split: share of the training pictures held out for validation, 0 <= val_split < 1.
        fraction: share of the training pictures used at all, 0 < fraction <= 1.
        seed: decides the fraction, the split, and (with the epoch) the order and augmentation of the batches.
        shift: training pictures are shifted by up to so many pixels.
        rotation: training pictures are turned by up to so many degrees.
        scaling: training pictures are enlarged or reduced by up to this share.
        elastic: training pictures are bent by so many pixels, see :class:`~lightconv.data.Augmentation`.
        repeats: each training picture stands in its batch so many times, displaced by itself each time (batch
            augmentation: E. Hoffer et al., "Augment Your Batch", CVPR 2020). A batch then has ``repeats`` times
            ``batch_size`` pictures.
    """

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 64,
        val_split: float = 0.1,
        fraction: float = 1.0,
        seed: int = 0,
        shift: int = 0,
        rotation: float = 0.0,
        scaling: float = 0.0,
        elastic: float = 0.0,
        repeats: int = 1,
    ) -> None:
        super().__init__(root, batch_size, val_split, fraction, seed)
        if repeats < 1:
            raise UsageError(f"Expected `repeats` to be a positive integer, but got {repeats}.")
        self.augmentation = Augmentation(shift, rotation, scaling, elastic)
        self.repeats = repeats

    @property
    def augments(self) -> bool:
        """Whether training batches are changed at all."""
        return bool(self.augmentation) or self.repeats > 1

    def describe(self) -> dict[str, Any]:
        """What identifies the data."""
        facts = {name: amount for name, amount in vars(self.augmentation).items() if amount}
        return {**super().describe(), **facts, **({"repeats": self.repeats} if self.repeats > 1 else {})}

    def on_after_batch_transfer(self, batch: Part, dataloader_idx: int) -> Part:
        """Augment a batch in training; Lightning calls it when the batch is on its device."""
        random = self.batch_random() if self.augments else None
        if random is None:
            return batch
        x, y = batch
        return self.augmented((x.repeat(self.repeats, 1, 1, 1), y.repeat(self.repeats)), random)

    def augmented(self, batch: Part, random: np.random.Generator) -> Part:
        """A training batch (x, y), its pictures displaced."""
        x, y = batch
        return self.augmentation(x, random), y
