from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from lightconv.data import MNIST1DData
from lightconv.tasks import MNIST1DClassifier
from lightconv.training.quiet import quiet


@pytest.fixture(scope="session")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[MNIST1DClassifier, MNIST1DData, Path]:
    """A classifier trained for a few epochs by a plain Trainer, its data, and its checkpoint."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    classifier, data = MNIST1DClassifier(network="tiny"), MNIST1DData(root=str(root))
    with quiet():
        trainer = Trainer(
            max_epochs=6,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        )
        trainer.fit(classifier, data)
        path = tmp_path_factory.mktemp("trained") / "some.ckpt"
        trainer.save_checkpoint(path, weights_only=False)
    return classifier.eval(), data, path
