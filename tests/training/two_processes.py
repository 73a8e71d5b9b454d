"""Trains in two processes: starved, in smaller parts, then whole batches without a budget and with one.

Each process prints a line for each of the four trainings: the micro-batch, a digest of the weights, the figures.
In the starved one the operating system refuses the second process more memory than it has, but for 30 MiB.
"""

import hashlib
import resource
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from torch.utils.data import DataLoader, TensorDataset

from lightconv.tasks import MNIST1DClassifier
from lightconv.training import MemoryBudget

SAMPLES = 6000


class Starved(Callback):
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        if trainer.global_rank == 1:
            lines = Path("/proc/self/status").read_text().splitlines()
            held = next(int(line.split()[1]) for line in lines if line.startswith("VmData:")) * 1024
            resource.setrlimit(resource.RLIMIT_DATA, (held + 30 * 2**20, resource.RLIM_INFINITY))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def train(callbacks: list[Callback]) -> None:
    seed_everything(1, verbose=False)
    classifier = MNIST1DClassifier(network="tiny", schedule="constant", optimizer="sgd")
    data = TensorDataset(torch.randn(3 * 2 * SAMPLES, 1, 40), torch.randint(10, (3 * 2 * SAMPLES,)))
    trainer = Trainer(
        accelerator="cpu",
        strategy="ddp",
        devices=2,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
    )
    trainer.fit(classifier, DataLoader(data, batch_size=SAMPLES))
    weights = torch.cat([p.detach().flatten() for p in classifier.parameters()])
    digest = hashlib.sha256(weights.numpy().tobytes()).hexdigest()[:16]
    figures = [float(trainer.callback_metrics[name]) for name in ("train_loss", "train_accuracy")]
    micro_batch = callbacks[0].micro_batch if callbacks else None
    print(f"\nrank {trainer.global_rank}: {micro_batch} {digest} {figures}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    # first, for later the process has memory left over that it need not ask for
    starved = MemoryBudget(gibibytes=100, micro_batch=SAMPLES)
    train([starved, Starved()])
    train([MemoryBudget(gibibytes=100, micro_batch=starved.micro_batch)])
    train([])
    train([MemoryBudget(gibibytes=100, micro_batch=SAMPLES)])
