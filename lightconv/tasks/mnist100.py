"""The task of the report: which number, 00 to 99, do two digits side by side make?"""

from typing import Any, Literal

from torch import Tensor

import lightconv.functional as F
from lightconv.tasks import networks
from lightconv.tasks.classifier import Classifier

ENLARGED = (128, 128)


class MNIST100Classifier(Classifier):
    """Classifies MNIST-100's pictures: raw input uint8 (N, 28, 56) or (N, 1, 28, 56), a hundred numbers.

    The report's networks see the pictures resized to 128x128, ours as they are.

    Args:
        network: ``"light"`` (18,682 parameters), ``"tiny"`` (9,402), or the report's: ``"original"`` (851,430),
            ``"v1"`` (318,470) and ``"v2"`` (174,550).
        **recipe: optimiser and schedule, see :class:`~lightconv.tasks.Classifier`.

    >>> import torch
    >>> raw = torch.zeros(2, 28, 56, dtype=torch.uint8)
    >>> MNIST100Classifier(network="tiny").preprocess(raw).shape
    torch.Size([2, 1, 28, 56])
    >>> classifier = MNIST100Classifier(network="v2").eval()
    >>> classifier.preprocess(raw).shape
    torch.Size([2, 1, 128, 128])
    >>> classifier(classifier.preprocess(raw)).shape
    torch.Size([2, 100])
    """

    task = "mnist100"
    networks = {  # noqa: RUF012 - a constant of the class
        "original": networks.mnist100_original,
        "v1": networks.mnist100_v1,
        "v2": networks.mnist100_v2,
        "light": networks.mnist100_light,
        "tiny": networks.mnist100_tiny,
    }
    class_names = tuple(f"{number:02}" for number in range(100))
    digits = ("tens", "units")
    input_name = "image"
    raw_shape = (28, 56)

    def __init__(
        self, network: Literal["original", "v1", "v2", "light", "tiny"] | str = "light", **recipe: Any
    ) -> None:
        super().__init__(network, **recipe)
        self.enlarges = network in ("original", "v1", "v2")

    def preprocess(self, raw: Tensor) -> Tensor:
        """Raw input (N, 28, 56) or (N, 1, 28, 56) to normalised float (N, 1, 28, 56) or (N, 1, 128, 128).

        Raises:
            ValueError: if the shape is another.
        """
        x = super().preprocess(raw)
        return F.interpolate(x, size=ENLARGED, mode="bilinear", antialias=True) if self.enlarges else x
