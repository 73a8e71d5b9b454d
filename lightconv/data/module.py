"""What all our data modules share: a data set in memory, its splits and its loaders."""

import math
import os
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from lightconv.data.cache import Arrays
from lightconv.data.loader import BatchLoader
from lightconv.data.splits import stratified_split
from lightconv.errors import UsageError
from lightconv.files import Unwritable

Part = tuple[Tensor, Tensor]


class InMemoryData(LightningDataModule):
    """Base of the data modules. A subclass says in :meth:`load` where its arrays come from.

    The training samples are thinned to ``fraction`` first; ``val_split`` of what is left becomes the validation
    part, the rest the training part, both with the classes in proportion. The test set stays whole and is handed
    out for testing and predicting only.

    Args:
        root: folder for cached data; by default ``$LIGHTCONV_DATA``, else ``data``.
        batch_size: samples a batch (and process).
        val_split: share of the training samples held out for validation, 0 <= val_split < 1.
        fraction: share of the training samples used at all, 0 < fraction <= 1.
        seed: decides the fraction, the split, and (with the epoch) the order of the training batches.

    Raises:
        UsageError: if a number is out of its range, or ``root`` cannot be written.
    """

    class_names: tuple[str, ...]

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 100,
        val_split: float = 0.1,
        fraction: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise UsageError(f"Expected `batch_size` to be a positive integer, but got {batch_size}.")
        if not 0 <= val_split < 1:
            raise UsageError(f"Expected `val_split` to lie in 0 <= val_split < 1, but got {val_split}.")
        if not 0 < fraction <= 1:
            raise UsageError(f"Expected `fraction` to lie in 0 < fraction <= 1, but got {fraction}.")
        if seed < 0:
            raise UsageError(f"Expected `seed` to be 0 or more, but got {seed}.")
        named = root or os.environ.get("LIGHTCONV_DATA")
        self.root = Path(named or "data").expanduser()
        self.root_was_named = named is not None
        self.batch_size = batch_size
        self.val_split = val_split
        self.fraction = fraction
        self.seed = seed
        self._parts: dict[str, Part] = {}
        self._arrays: Arrays | None = None

    @abstractmethod
    def load(self) -> Arrays:
        """The whole data set, generated or read: arrays ``x_train``, ``y_train``, ``x_test``, ``y_test``.

        Pictures (uint8) and signals (float32) have a channel axis, (N, 1, *size); labels (int64) count the class names.
        """

    @property
    @abstractmethod
    def title(self) -> str:
        """The data set's name for people."""

    def describe(self) -> dict[str, Any]:
        """What identifies the data: class, title, splits and seed, in values that any file format can hold."""
        return {
            "name": type(self).__name__,
            "title": self.title,
            "fraction": self.fraction,
            "val_split": self.val_split,
            "seed": self.seed,
        }

    def prepare_data(self) -> None:
        """Fill the cache, once a machine."""
        if not {"train", "test"} <= self._parts.keys():
            self._arrays = self._load()  # which the stage's set-up, next, need not read again

    def setup(self, stage: str | None = None) -> None:
        """Split the data; Lightning calls it before each stage (fit, validate, test, predict)."""
        if stage in ("fit", "validate", None) and "train" not in self._parts:
            arrays = self._load()
            x, y = arrays["x_train"], arrays["y_train"]
            kept, _ = stratified_split(y, self.fraction, self.seed)
            x, y = _chosen(x, y, kept)
            held_out, rest = stratified_split(y, self.val_split, self.seed + 1)
            self._parts["train"] = _tensors(*_chosen(x, y, rest))
            self._parts["val"] = _tensors(*_chosen(x, y, held_out))
            if len(rest) == 0:
                raise UsageError(f"Expected some samples to train on, but `fraction` {self.fraction} leaves none.")
        if stage in ("test", "predict", None) and "test" not in self._parts:
            arrays = self._load()
            self._parts["test"] = _tensors(arrays["x_test"], arrays["y_test"])
        self._arrays = None

    def part(self, name: str) -> Part:
        """Inputs and labels of one part, ``"train"``, ``"val"`` or ``"test"``, in a fixed order."""
        if name not in self._parts:
            self.setup("test" if name == "test" else "fit")
        return self._parts[name]

    def statistics(self) -> tuple[float, float]:
        """Mean and standard deviation (of the sample: divided by n - 1) of the training part's values."""
        x, _ = self.part("train")
        if x.dtype != torch.uint8:
            values = x.to(torch.float64)
            return float(values.mean()), float(values.std())
        # Exact, and without a copy of all pictures in a wider type.
        counts = sum(np.bincount(some.ravel(), minlength=256) for some in np.array_split(x.numpy(), 64))
        shades, count = np.arange(256), x.numel()
        mean = float(counts @ shades) / count
        return mean, math.sqrt(float(counts @ (shades - mean) ** 2) / max(1, count - 1))

    def train_dataloader(self) -> BatchLoader:
        """Shuffled batches (x, y) of the training part."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """Batches (x, y) of the validation part; none if ``val_split`` is 0."""
        return self._loader("val") if len(self.part("val")[1]) else []

    def test_dataloader(self) -> BatchLoader:
        """Batches (x, y) of the test set."""
        return self._loader("test")

    def predict_dataloader(self) -> BatchLoader:
        """Batches (x, y) of the test set."""
        return self._loader("test")

    def transfer_batch_to_device(self, batch: Part, device: torch.device, dataloader_idx: int) -> Part:
        """Move a batch; plain tuples need none of Lightning's search through nested collections."""
        x, y = batch
        return x.to(device, non_blocking=True), y.to(device, non_blocking=True)

    def batch_random(self) -> np.random.Generator | None:
        """Random numbers for the training batch at hand, a function of (seed, epoch, batch, process); else None."""
        trainer = self.trainer
        if trainer is None or not trainer.training:
            return None
        number = trainer.fit_loop.epoch_loop.batch_idx + 1  # Lightning counts the batch after it has moved it
        return np.random.default_rng([self.seed, trainer.current_epoch, number, trainer.global_rank])

    def _loader(self, name: str, shuffle: bool = False) -> BatchLoader:
        trainer = self.trainer
        return BatchLoader(
            *self.part(name),
            batch_size=self.batch_size,
            shuffle=shuffle,
            seed=self.seed,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
            pin_memory=trainer is not None and trainer.strategy.root_device.type == "cuda",
        )

    def _load(self) -> Arrays:
        if self._arrays is not None:
            return self._arrays
        try:
            return self._checked(self.load())
        except Unwritable as error:
            raise UsageError(
                f"Expected a folder for data that can be written, but got {str(self.root)!r} ({error.reason}); "
                "name another with `--data.root` or the environment variable LIGHTCONV_DATA."
            ) from error

    def _checked(self, arrays: Arrays) -> Arrays:
        for part in ("train", "test"):
            x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
            if len(x) != len(y):
                raise UsageError(f"Expected a label for each sample of {self.title}, but got {len(y)} for {len(x)}.")
            last = len(self.class_names) - 1
            if len(y) and not 0 <= y.min() <= y.max() <= last:
                raise UsageError(f"Expected labels of {self.title} from 0 to {last}, but got {y.min()} to {y.max()}.")
        return arrays


def _tensors(x: np.ndarray, y: np.ndarray) -> Part:
    return torch.from_numpy(x), torch.from_numpy(y)


def _chosen(x: np.ndarray, y: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The samples of ascending indices; no copy where that is all."""
    return (x, y) if len(indices) == len(y) else (x[indices], y[indices])
