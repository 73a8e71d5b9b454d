"""Handwritten digits that every installation has: not MNIST, but of its shape."""

import numpy as np
import torch

from lightconv import functional as F
from lightconv.data.cache import Arrays
from lightconv.data.splits import stratified_split

TITLE = "scikit-learn's digits, enlarged to 28x28 (not MNIST)"
TEST = 297


def digits() -> Arrays:
    """The 1,797 handwritten digits that come with scikit-learn, enlarged from 8x8 to 28x28.

    They are the test set of E. Alpaydin and C. Kaynak's "Optical Recognition of Handwritten Digits" (UCI, 1998).
    Their 17 shades are spread over 0 to 255 and the pictures enlarged bilinearly. 297 of them, the same for
    everybody and with the classes in proportion, are the test set.

    Returns:
        ``x_train`` uint8 (1500, 1, 28, 28), ``y_train`` int64 (1500,), and the test set alike.

    >>> {name: array.shape for name, array in digits().items()}["x_test"]
    (297, 1, 28, 28)
    """
    from sklearn.datasets import load_digits  # takes a while to import

    small = load_digits()
    pictures = torch.from_numpy(small.images)[:, None] * (255 / 16)
    x = F.interpolate(pictures, size=(28, 28), mode="bilinear").round().to(torch.uint8).numpy()
    y = small.target.astype(np.int64)
    test, train = stratified_split(y, TEST / len(y), seed=0)
    return {"x_train": x[train], "y_train": y[train], "x_test": x[test], "y_test": y[test]}
