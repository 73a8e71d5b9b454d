"""Stand-ins for the trained classifiers, exported once a session."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import lightconv.nn as nn
from lightconv.deploy import export_onnx


class StandIn(nn.Module):
    """What deployment needs of a classifier, around a small network."""

    def __init__(self, input_name: str, raw_shape: tuple[int, ...], seed: int = 0) -> None:
        super().__init__()
        self.task = "standin"
        self.input_name = input_name
        self.raw_shape = raw_shape
        self.class_names = ("zero", "one", "two", "three")
        self.hparams = Hyperparameters(network="tiny", learning_rate=0.1)
        self.provenance = {"epochs": 3}
        self.register_buffer("mean", torch.tensor(0.25))
        self.scale = 1 / 255 if input_name == "image" else 1.0
        conv = nn.Conv1d if len(raw_shape) == 1 else nn.Conv2d
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.net = nn.Sequential(conv(1, 4, 3, stride=2, padding="valid"), nn.ReLU(), nn.Flatten())
            features = self.net(torch.zeros(1, 1, *raw_shape)).shape[1]
            self.net.append(nn.Linear(features, 4))

    def preprocess(self, raw: Tensor) -> Tensor:
        return raw.unsqueeze(1).float() * self.scale - self.mean

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Hyperparameters(dict):
    __getattr__ = dict.__getitem__


SCORES = {"test": {"samples": 1000, "accuracy": 0.991}}


@pytest.fixture(scope="session")
def signal_classifier() -> StandIn:
    return StandIn("signal", (40,)).eval()


@pytest.fixture(scope="session")
def signal_model(signal_classifier: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("signal") / "signal.onnx"
    export_onnx(signal_classifier, path, scores=SCORES)
    return path


@pytest.fixture(scope="session")
def image_classifier() -> StandIn:
    return StandIn("image", (28, 28)).eval()


@pytest.fixture(scope="session")
def image_model(image_classifier: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "image.onnx"
    export_onnx(image_classifier, path, scores=SCORES)
    return path
