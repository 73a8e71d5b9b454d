"""The networks and the training script of the book's notebooks 10.2 and 10.5, in torch.nn as one writes them there."""

from itertools import pairwise

import torch
import torch.nn.functional as T
from torch import Tensor, nn
from torch.utils.data import DataLoader


class Signals(nn.Sequential):
    """Notebook 10.2: three strided convolutions for MNIST-1D."""

    def __init__(self) -> None:
        convolutions = [nn.Conv1d(channels, 15, kernel_size=3, stride=2) for channels in (1, 15, 15)]
        layers = [layer for convolution in convolutions for layer in (convolution, nn.ReLU())]
        super().__init__(*layers, nn.Flatten(), nn.Linear(60, 10))


class Pictures(nn.Module):
    """Notebook 10.5, and with more channels and stages the report's networks."""

    def __init__(self, channels: tuple[int, ...], features: int, classes: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(*pair, kernel_size=5) for pair in pairwise((1, *channels)))
        self.drop = nn.Dropout2d()
        self.first, self.second = nn.Linear(features, 50), nn.Linear(50, classes)
        for layer in (self.first, self.second):
            nn.init.kaiming_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        for number, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if number == 1:
                x = self.drop(x)
            x = T.relu(T.max_pool2d(x, 2))
        x = T.relu(self.first(x.flatten(1)))
        return T.log_softmax(self.second(x), 1)


NETWORKS = {
    "mnist1d_book": Signals,
    "mnist_book": lambda: Pictures((10, 20), 320, 10),
    "mnist100_original": lambda: Pictures((10, 20), 20 * 29 * 29, 100),
    "mnist100_v1": lambda: Pictures((10, 20, 40), 40 * 12 * 12, 100),
    "mnist100_v2": lambda: Pictures((10, 20, 40, 80), 80 * 4 * 4, 100),
}


def train(model: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer) -> None:
    """Notebook 10.5's epoch."""
    model.train()
    for data, target in loader:
        optimizer.zero_grad()
        loss = T.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()


def accuracy(model: nn.Module, loader: DataLoader) -> float:
    """Notebook 10.5's test."""
    model.eval()
    right, count, loss = 0, 0, 0.0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            loss += T.nll_loss(output, target, reduction="sum").item()
            right += int((output.argmax(1) == target).sum())
            count += len(target)
    return right / count
