"""What the tutorials need besides the library: a photograph, data sets that are there, training in silence."""

import os
from typing import Any

import numpy as np
import torch
from lightconv.data import InMemoryData, MNIST100Data, MNISTData
from lightconv.errors import UsageError
from lightconv.tasks import Classifier
from lightconv.training.callbacks.history import History
from lightconv.training.quiet import quiet
from lightning.pytorch import Trainer, seed_everything
from sklearn.datasets import load_sample_image
from torch import Tensor

SHORT = os.environ.get("LIGHTCONV_TUTORIALS") == "short"


def enough(full: Any, short: Any) -> Any:
    """The first, or the second where LIGHTCONV_TUTORIALS=short asks for a quick run."""
    return short if SHORT else full


def photograph(size: int = 256) -> Tensor:
    """A square of a photograph that comes with scikit-learn, (1, 3, size, size), from 0 to 1.

    The Summer Palace in Beijing, by danielbuechele (flickr.com/photos/danielbuechele/6061409035), CC BY 2.0.
    """
    pixels = load_sample_image("china.jpg")[20 : 20 + size, 80 : 80 + size]
    return (
        torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).unsqueeze(0)
        / 255
    )


def pictures(
    kind: type[MNISTData] | type[MNIST100Data],
    fraction: float = 1.0,
    of_digits: float = 1.0,
) -> MNISTData | MNIST100Data:
    """A fraction of MNIST or MNIST-100 where its files lie on this machine, else one of scikit-learn's digits."""
    data = kind(source="local", val_split=0, fraction=fraction)
    try:
        data.part("test")
    except UsageError:
        data = kind(variant="digits", val_split=0, fraction=of_digits)
    print(f"Data: {data.title}")
    return data


def fit(
    classifier: Classifier, data: InMemoryData, epochs: int
) -> list[dict[str, float]]:
    """Train, and return what was logged, a row an epoch."""
    history = History()
    with quiet():
        trainer = Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            callbacks=[history],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(classifier, data)
    classifier.eval()
    return [history.rows[epoch] for epoch in sorted(history.rows)]


@torch.inference_mode()
def answers(classifier: Classifier, raw: Tensor, batch_size: int = 500) -> Tensor:
    """Logits of raw input, batch by batch."""
    return torch.cat(
        [classifier(classifier.preprocess(part)) for part in raw.split(batch_size)]
    )


def start(seed: int = 1) -> None:
    """The same random numbers for everybody, and one thread: these networks are too small to share."""
    with quiet():
        seed_everything(seed, verbose=False)
    torch.set_num_threads(1)
