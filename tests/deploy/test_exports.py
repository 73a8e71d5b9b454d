"""The models that are shipped: what their cards say of them, and that they work on digits they have never seen."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lightconv.data import MNIST100Data, MNISTData, generate
from lightconv.data.scoring import FRESH_SEED, fresh_pairs
from lightconv.deploy.runtime import Classifier, prepare_picture
from lightconv.tasks.loading import TASKS

EXPORTS = Path(__file__).parents[2] / "exports"
MODELS = ("mnist1d", "mnist", "mnist100")
LIMITS = {"mnist1d": 15_000, "mnist": 30_000, "mnist100": 20_000}


def card_of(name: str) -> dict:
    return json.loads((EXPORTS / f"{name}.json").read_text())


def accuracy(name: str, x, y) -> float:
    model = Classifier(str(EXPORTS / f"{name}.onnx"), threads=1)
    return float((model.predict(x.squeeze(1).numpy()).labels == y.numpy()).mean())


def test_nothing_else_is_shipped():
    assert {path.stem for path in EXPORTS.glob("*.onnx")} == set(MODELS)
    assert {path.stem for path in EXPORTS.glob("*.json")} == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_card_and_file_belong_together(name: str):
    card, content = card_of(name), (EXPORTS / f"{name}.onnx").read_bytes()
    assert card["sha256"] == hashlib.sha256(content).hexdigest()
    assert (card["bytes"], card["task"], card["network"]) == (len(content), name, "light")
    assert card["parameters"] <= LIMITS[name]
    network = TASKS[name](card["network"], network_options=card["recipe"].get("network_options"))
    assert card["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert card["provenance"]["data"]["fraction"] == 1.0
    assert all(str(folder).encode() not in content for folder in (Path.home(), EXPORTS.parent))


def test_signals_are_told_apart_as_the_card_says():
    scores = card_of("mnist1d")["scores"]["fresh"]
    assert scores["seed"] == FRESH_SEED
    assert accuracy("mnist1d", *generate(1000, seed=3)) == pytest.approx(scores["accuracy"], abs=0.01)


@pytest.mark.parametrize(("name", "least"), [("mnist", 0.85), ("mnist100", 0.7)])
def test_digits_of_other_people_are_read(name: str, least: float):
    """scikit-learn's digits, written by other people and 8x8 pixels large, prepared as `classify` prepares a file."""
    x, y = {"mnist": MNISTData, "mnist100": MNIST100Data}[name](variant="digits").part("test")
    shape = tuple(x.shape[2:])
    pictures = [prepare_picture(picture, shape)[0] for picture in x[:300, 0].numpy()]
    assert accuracy(name, torch.from_numpy(np.stack(pictures)[:, None]), y[:300]) > least


@pytest.mark.skipif(
    not (Path(os.environ.get("LIGHTCONV_DATA", "data")) / "MNIST" / "raw").is_dir(), reason="needs MNIST's files"
)
@pytest.mark.parametrize("name", ["mnist", "mnist100"])
def test_pictures_are_told_apart_as_the_card_says(name: str):
    scores = card_of(name)["scores"]
    x, y = {"mnist": MNISTData, "mnist100": MNIST100Data}[name](source="local").part("test")
    # A picture on the border between two labels may fall to the other side in onnxruntime.
    assert accuracy(name, x, y) == pytest.approx(scores["test"]["accuracy"], abs=2e-4)
    if name == "mnist100":
        assert accuracy(name, *fresh_pairs(x, y)) == pytest.approx(scores["fresh"]["accuracy"], abs=2e-4)
