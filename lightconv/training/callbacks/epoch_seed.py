"""Randomness that does not depend on what happened before."""

import os

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class EpochSeed(Callback):
    """Seeds PyTorch's generators at the start of each epoch, from the run's seed, the epoch and the process.

    So dropout in epoch 7 is the same whether the run came that far in one go or was resumed, and differs between
    processes. The run's seed is the one that ``seed_everything`` was given; without one nothing happens.
    """

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seed."""
        seed = os.environ.get("PL_GLOBAL_SEED")
        if seed is not None:
            mixed = np.random.SeedSequence([int(seed), trainer.current_epoch, trainer.global_rank])
            number = int(mixed.generate_state(1, np.uint64)[0])
            if trainer.strategy.root_device.type == "cpu":
                torch.default_generator.manual_seed(number)  # without a note for every GPU that there may be
            else:
                torch.manual_seed(number)
