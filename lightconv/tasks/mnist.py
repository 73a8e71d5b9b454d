"""The task of notebook 10.5: which digit is in a picture of 28x28 pixels?"""

from typing import Any, Literal

from lightconv.tasks import networks
from lightconv.tasks.classifier import Classifier


class MNISTClassifier(Classifier):
    """Classifies MNIST's pictures: raw input uint8 (N, 28, 28) or (N, 1, 28, 28), ten classes.

    Args:
        network: ``"light"`` (28,434 parameters), ``"tiny"`` (9,402) or ``"book"`` (notebook 10.5's, 21,840).
        **recipe: optimiser and schedule, see :class:`~lightconv.tasks.Classifier`.

    >>> import torch
    >>> classifier = MNISTClassifier(network="tiny").eval()
    >>> classifier(classifier.preprocess(torch.zeros(2, 28, 28, dtype=torch.uint8))).shape
    torch.Size([2, 10])
    """

    task = "mnist"
    networks = {  # noqa: RUF012 - a constant of the class
        "book": networks.mnist_book,
        "light": networks.mnist_light,
        "tiny": networks.mnist_tiny,
    }
    class_names = tuple("0123456789")
    input_name = "image"
    raw_shape = (28, 28)

    def __init__(self, network: Literal["book", "light", "tiny"] | str = "light", **recipe: Any) -> None:
        super().__init__(network, **recipe)
