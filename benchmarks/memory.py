"""What a training step holds in memory: predicted, measured, and beside the same network in torch.nn.

    python benchmarks/memory.py [--batch 64 256] [--networks original light]
    python benchmarks/memory.py --predict 4096 8192

Each line is a step of a task's classifier on raw input, resize and metrics included, by SGD with momentum in float32.
"Measured" is the largest number of bytes that PyTorch's allocator had handed out at once. "torch.nn" is the measured
peak of the same classifier with torch's convolution, max-pooling and ReLU, one after the other.

The second form predicts alone, for the report's network "original" and AdamW, and so for batches of any size.
"""

import argparse
import os

os.environ.setdefault("KINETO_LOG_LEVEL", "5")

import torch
from torch import nn

import lightconv
from lightconv.nn import ConvMaxPoolReLU
from lightconv.tasks import Classifier, MNIST1DClassifier, MNIST100Classifier, MNISTClassifier
from lightconv.tasks.optimisation import make_optimizer
from lightconv.training.memory import measured_peak, predict_peak

TASKS: tuple[type[Classifier], ...] = (MNIST1DClassifier, MNISTClassifier, MNIST100Classifier)
Batch = tuple[torch.Tensor, torch.Tensor]


def batch_of(task: type[Classifier], samples: int) -> Batch:
    raw = torch.zeros(samples, 1, *task.raw_shape, dtype=torch.uint8)
    return (raw.float() if task is MNIST1DClassifier else raw), torch.zeros(samples, dtype=torch.int64)


def in_torch(network: nn.Module) -> nn.Module:
    """The network with torch's layers, blocks taken apart."""
    for name, child in network.named_children():
        if isinstance(child, ConvMaxPoolReLU):
            conv = nn.Conv2d(child.in_channels, child.out_channels, child.kernel_size)
            setattr(network, name, nn.Sequential(conv, nn.MaxPool2d(child.pool_size), nn.ReLU()))
    return lightconv.revert(network)


def train(task: type[Classifier], network: str, samples: int, theirs: bool = False) -> None:
    """Two steps, of which the second finds what the first has left."""
    classifier, batch = task(network=network), batch_of(task, samples)
    if theirs:
        classifier.network = in_torch(classifier.network)
    optimizer = make_optimizer("sgd", classifier.parameters(), 0.01, 0.9, 0.0)
    for _ in range(2):
        loss = classifier.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()
        del loss
        optimizer.step()


def line(task: type[Classifier], network: str, samples: int) -> str:
    classifier = task(network=network)
    optimizer = make_optimizer("sgd", classifier.parameters(), 0.01, 0.9, 0.0)
    predicted = predict_peak(classifier, batch_of(task, samples), optimizer=optimizer).total
    ours = measured_peak(lambda: train(task, network, samples))
    theirs = measured_peak(lambda: train(task, network, samples, theirs=True))
    mebibytes = " | ".join(f"{size / 2**20:8.2f}" for size in (predicted, ours, theirs))
    return f"| {task.task:8} | {network:8} | {samples:5} | {mebibytes} | {theirs / ours:.2f} |"


def predictions(samples: int) -> None:
    for name, theirs in (("ours", False), ("torch.nn", True)):
        classifier = MNIST100Classifier(network="original")
        if theirs:
            classifier.network = in_torch(classifier.network)
        optimizer = make_optimizer("adamw", classifier.parameters(), 0.01, 0.9, 0.0)
        peak = predict_peak(classifier, batch_of(MNIST100Classifier, samples), optimizer=optimizer)
        print(f"{samples:,} pictures, {name}: {peak}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--networks", nargs="+")
    parser.add_argument("--predict", type=int, nargs="+")
    options = parser.parse_args()
    if options.predict:
        for samples in options.predict:
            predictions(samples)
        return
    print("| task | network | batch | predicted MiB | measured MiB | torch.nn MiB | torch.nn / ours |")
    print("|---|---|---|---|---|---|---|")
    for task in TASKS:
        for network in task.networks:
            if options.networks is None or network in options.networks:
                for samples in options.batch:
                    print(line(task, network, samples), flush=True)


if __name__ == "__main__":
    main()
