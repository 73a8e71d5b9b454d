"""The task of notebook 10.2: which digit's shape is hidden in a signal of 40 samples?"""

from typing import Any, Literal

from lightconv.tasks import networks
from lightconv.tasks.classifier import Classifier


class MNIST1DClassifier(Classifier):
    """Classifies MNIST-1D signals: raw input float (N, 40) or (N, 1, 40), ten digits.

    Args:
        network: ``"light"`` (12,130 parameters), ``"tiny"`` (1,948) or ``"book"`` (notebook 10.2's, 2,050).
        **recipe: optimiser and schedule, see :class:`~lightconv.tasks.Classifier`.

    >>> import torch
    >>> classifier = MNIST1DClassifier(network="tiny").eval()
    >>> classifier(classifier.preprocess(torch.zeros(2, 40))).shape
    torch.Size([2, 10])
    """

    task = "mnist1d"
    networks = {  # noqa: RUF012 - a constant of the class
        "book": networks.mnist1d_book,
        "light": networks.mnist1d_light,
        "tiny": networks.mnist1d_tiny,
    }
    class_names = tuple("0123456789")
    input_name = "signal"
    raw_shape = (40,)

    def __init__(self, network: Literal["book", "light", "tiny"] | str = "light", **recipe: Any) -> None:
        super().__init__(network, **recipe)
