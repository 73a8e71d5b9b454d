"""Networks from a file of the user's: trained, tested and exported by name, and run only where they are named."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lightconv.cli import main
from lightconv.deploy.runtime import Classifier as Runtime
from lightconv.errors import UsageError
from lightconv.tasks import MNIST1DClassifier, load

NETS = """
import pathlib

import lightconv.nn as nn
from own_block import block

pathlib.Path("was run").touch()


def mine(width=4):
    return nn.Sequential(block(width), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.LazyLinear(10))


class Mine(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(40, 10))


def seven():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(7))


def two_channels():
    return nn.Conv1d(2, 10, 40)


def pair():
    return lambda x: x


def broken():
    return {}["width"]
"""
BLOCK = """
import lightconv.nn as nn


def block(width):
    return nn.Sequential(nn.Conv1d(1, width, 5, stride=2), nn.BatchNorm1d(width), nn.ReLU())
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the user's files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_block", raising=False)
    (tmp_path / "nets.py").write_text(NETS, encoding="utf-8")
    (tmp_path / "own_block.py").write_text(BLOCK, encoding="utf-8")
    return tmp_path


@pytest.fixture
def command(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a command of the classifiers on few signals; returns the exit status."""
    monkeypatch.setenv("LIGHTCONV_DATA", str(root))

    def run(name: str, *arguments: str) -> int:
        few = ["--data.fraction", "0.1", "--model.schedule", "constant", "--trainer.accelerator", "cpu"]
        return main([name, "--config", "mnist1d", *few, "--trainer.max_epochs", "1", *arguments])

    return run


def test_from_the_file_to_the_exported_model(nets: Path, command: Callable[..., int], capsys):
    assert command("fit", "--model.network", "nets.py:mine", "--model.network_options.width", "6") == 0
    assert "network mine: 118 parameters" in capsys.readouterr().out
    folder = Path("runs/mnist1d-mine")
    assert (folder / "network.py").read_text(encoding="utf-8") == NETS
    assert command("test", "--model.network", "nets.py:mine") == 0
    assert (
        main(["export", "--ckpt_path", str(folder), "--output", "m.onnx", "--network", "nets.py", "--no_scores"]) == 0
    )
    signals = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    classifier = load(folder, network="nets.py")
    with torch.no_grad():
        expected = classifier(classifier.preprocess(torch.from_numpy(signals))).argmax(1)
    runtime = Runtime("m.onnx", threads=1)
    assert runtime.predict(signals).labels.tolist() == expected.tolist()
    assert runtime.metadata["network"] == "mine"
    assert b"nets.py" not in Path("m.onnx").read_bytes()


def test_a_checkpoint_alone_runs_no_code(nets: Path, command: Callable[..., int], capsys):
    assert command("fit", "--model.network", "nets.py:mine") == 0
    Path("was run").unlink()
    for module in [name for name in sys.modules if name.startswith("lightconv_own_")]:
        del sys.modules[module]
    capsys.readouterr()
    checkpoint = Path("runs/mnist1d-mine/best.ckpt")
    assert main(["export", "--ckpt_path", str(checkpoint), "--output", "m.onnx"]) == 2
    assert "whose code would run; name its file, if you trust it: `--network nets.py`" in capsys.readouterr().err
    assert command("test", "--ckpt_path", str(checkpoint)) == 2
    for other in (None, "light", "nets.py:other"):
        with pytest.raises(UsageError, match=r"is nets\.py:mine, whose code would run"):
            load(checkpoint, network=other)
    with pytest.raises(UsageError, match="whose code would run"):
        MNIST1DClassifier.load_from_checkpoint(checkpoint, weights_only=True)
    assert not Path("was run").exists()
    MNIST1DClassifier.load_from_checkpoint(checkpoint, weights_only=True, network="nets.py:mine")
    assert Path("was run").exists()


def test_a_file_that_has_changed_since(nets: Path, command: Callable[..., int], capsys):
    assert command("fit", "--model.network", "nets.py:mine") == 0
    Path("nets.py").write_text(NETS.replace("AdaptiveMaxPool1d", "AdaptiveAvgPool1d"), encoding="utf-8")
    last = ["--ckpt_path", "last", "--trainer.max_epochs", "2"]
    assert command("fit", "--model.network", "nets.py:mine", *last) == 2
    assert "it has changed since; its copy is 'runs/mnist1d-mine/network.py'" in capsys.readouterr().err
    assert command("fit", "--model.network", "runs/mnist1d-mine/network.py:mine", *last) == 0
    assert main(["fit", "--config", "runs/mnist1d-mine/config.yaml", *last]) == 0
    assert "names code from elsewhere, which will run: runs/mnist1d-mine/network.py:mine" in capsys.readouterr().out


def test_a_class_does_as_well(nets: Path):
    assert MNIST1DClassifier(network="nets.py:Mine").network_name == "Mine"


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        ("nets.py:seven", r"to map \(N, 1, 40\) to logits \(N, 10\), but nets.py:seven gives \(2, 7\) for N = 2\."),
        ("nets.py:two_channels", "nets.py fails: RuntimeError: .* but got"),
        ("nets.py:pair", "returns a torch.nn.Module, but nets.py:pair returns function"),
        ("nets.py:broken", "line 32 of nets.py fails: KeyError: 'width'"),
        ("nets.py:mein", r"a function in 'nets.py' \(mine, Mine, seven, two_channels, pair, broken\), but got 'mein'"),
        ("nots.py:mine", "'nots.py' cannot be read"),
        ("wrong.py:mine", "line 1 of wrong.py fails: SyntaxError"),
        ("empty.py:mine", r"\(none\)"),
    ],
)
def test_what_cannot_be_trained_is_told_in_a_sentence(nets: Path, network: str, complaint: str):
    Path("wrong.py").write_text("def mine(:", encoding="utf-8")
    Path("empty.py").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match=complaint) as raised:
        MNIST1DClassifier(network=network)
    assert "\n" not in str(raised.value)


def test_nothing_is_left_of_a_run_that_could_not_begin(nets: Path, command: Callable[..., int], capsys):
    assert command("fit", "--model.network", "nets.py:seven") == 2
    assert "Expected `network` to map" in capsys.readouterr().err
    assert not list(Path("runs").iterdir())
