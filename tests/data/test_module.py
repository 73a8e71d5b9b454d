"""Data sets of a user's own: arrays that do not fit are refused in a sentence."""

import numpy as np
import pytest

from lightconv.data import InMemoryData
from lightconv.errors import UsageError


class Own(InMemoryData):
    title = "my signals"
    class_names = ("low", "high")

    def load(self) -> dict[str, np.ndarray]:
        x, y = np.zeros((4, 1, 40), np.float32), np.array(self.labels)
        return {"x_train": x, "y_train": y, "x_test": x[:0], "y_test": y[:0]}


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ([0, 1, 0, 2], "Expected labels of my signals from 0 to 1, but got 0 to 2."),
        ([0, 1, 0, -1], "Expected labels of my signals from 0 to 1, but got -1 to 1."),
        ([0, 1, 0], "Expected a label for each sample of my signals, but got 3 for 4."),
    ],
)
def test_labels_that_do_not_fit(labels: list[int], complaint: str):
    data = Own()
    data.labels = labels
    with pytest.raises(UsageError) as error:
        data.setup("fit")
    assert str(error.value) == complaint
