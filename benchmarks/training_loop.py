"""`fit` beside the notebooks' own loops, with the same layers on both sides: python benchmarks/training_loop.py

The notebooks' loops are theirs in structure: notebook 10.2 walks a DataLoader over a TensorDataset and then runs the
whole training part and the whole validation part through the network, each epoch; notebook 10.5 reads each picture
as a PIL image, turns it into a tensor and normalises it, one by one, as torchvision's MNIST does. `fit` is all that
the command does after the import: the Trainer, its callbacks, checkpoints, metrics.csv and curves.png. Where MNIST's
files are not in $LIGHTCONV_DATA (or data/), scikit-learn's digits stand in.
"""

import argparse
import tempfile
from collections.abc import Callable

import numpy as np
import torch
from loading import torchvision_loader
from notebooks import train
from paired import machine, measure
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightconv.cli import main
from lightconv.data import MNIST1DData, MNISTData
from lightconv.errors import UsageError
from lightconv.tasks import MNIST1DClassifier, MNISTClassifier

QUIET = ["--trainer.enable_progress_bar", "false"]


def notebook_10_2(data: MNIST1DData, epochs: int) -> None:
    network = MNIST1DClassifier(network="book").network
    x_train, y_train = data.part("train")
    x_val, y_val = data.part("val")
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=20, gamma=0.5)
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=100, shuffle=True)
    figures = np.zeros((epochs, 4))
    for epoch in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = loss_function(network(x), y)
            loss.backward()
            optimizer.step()
        whole, validation = network(x_train), network(x_val)
        figures[epoch] = (
            loss_function(whole, y_train).item(),
            loss_function(validation, y_val).item(),
            100 - 100 * (whole.argmax(1) == y_train).float().mean().item(),
            100 - 100 * (validation.argmax(1) == y_val).float().mean().item(),
        )
        print(
            f"Epoch {epoch:5d}, train loss {figures[epoch, 0]:.6f}, train error {figures[epoch, 2]:3.2f}", file=NOWHERE
        )
        scheduler.step()


def notebook_10_5(data: MNISTData, epochs: int) -> None:
    network = nn.Sequential(MNISTClassifier(network="book").network, nn.LogSoftmax(1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.5)
    pictures, labels = data.part("train")
    loader = torchvision_loader(pictures.squeeze(1), labels)
    for _ in range(epochs):
        train(network, loader, optimizer)


def pictures_at_hand(count: int) -> tuple[MNISTData, list[str]]:
    """Some pictures of MNIST, or scikit-learn's digits; and the options of `fit` that say so."""
    share = count / 60_000
    data = MNISTData(fraction=share, val_split=0.0, source="local")
    try:
        data.part("train")
    except UsageError:
        return MNISTData(variant="digits", val_split=0.0), ["--data.variant", "digits"]
    return data, ["--data.fraction", str(share)]


def fit(config: str, folder: str, *options: str) -> Callable[[], None]:
    def run() -> None:
        status = main(["fit", "--config", config, "--threads", "1", "--run_dir", f"{folder}/run", *QUIET, *options])
        assert status == 0

    return run


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=100, help="of MNIST-1D")
    parser.add_argument("--pictures", type=int, default=6000, help="of MNIST, one epoch")
    parser.add_argument("--mixed", action="store_true", help="also `fit` in bf16-mixed")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()

    torch.set_num_threads(1)
    NOWHERE = open("/dev/null", "w")  # noqa: SIM115 - the notebook prints, a terminal's speed is not measured
    print(machine())
    with tempfile.TemporaryDirectory() as folder:

        def fits(config: str, *options: str) -> dict[str, Callable[[], None]]:
            found = {"fit": fit(config, folder, *options)}
            if given.mixed:
                found["fit, bf16-mixed"] = fit(config, folder, *options, "--trainer.precision", "bf16-mixed")
            return found

        signals = MNIST1DData(val_split=0.1)
        epochs = ["--trainer.max_epochs", str(given.epochs)]
        tasks = {
            f"MNIST-1D, book, {given.epochs} epochs": {
                "notebook": lambda: notebook_10_2(signals, given.epochs),
                **fits("mnist1d_book", "--data.val_split", "0.1", *epochs),
            }
        }
        if given.pictures:
            pictures, options = pictures_at_hand(given.pictures)
            tasks[f"{pictures.title}, book, {len(pictures.part('train')[1]):,} pictures"] = {
                "notebook": lambda: notebook_10_5(pictures, 1),
                **fits("mnist_book", *options, "--trainer.max_epochs", "1"),
            }
        for task, candidates in tasks.items():
            times = measure(candidates, repeats=given.repeats)
            print(task)
            for name, seconds in times.items():
                print(f"  {name:26} {seconds:7.2f} s  notebook/this {times['notebook'] / seconds:5.2f}")
