"""validate, test and predict."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightconv.data import MNIST1DData
from lightconv.data.scoring import accuracy
from lightconv.tasks import load
from lightconv.training import evaluation

Command = Callable[..., int]


def percent(text: str) -> float:
    return float(re.search(r"accuracy ([\d.]+) %", text)[1])


def test_test_scores_the_best_on_the_whole_test_set(
    run: Path, root: Path, command: Command, capsys: pytest.CaptureFixture[str]
):
    assert command("test", "--run_dir", str(run)) == 0
    out = capsys.readouterr().out
    expected = accuracy(load(run), *MNIST1DData(root=str(root)).part("test"))
    assert percent(out) == pytest.approx(100 * expected, abs=0.005)
    assert "1,000 samples" in out
    assert str(run / "best.ckpt") in out


@pytest.mark.parametrize("named", ["best", "last", "folder", "file"])
def test_ways_to_name_a_checkpoint(named: str, run: Path, command: Command, capsys: pytest.CaptureFixture[str]):
    path = {"folder": str(run), "file": str(run / "last.ckpt")}.get(named, named)
    assert command("validate", "--ckpt_path", path, "--run_dir", str(run), "--data.fraction", "1.0") == 0
    expected = run / ("last.ckpt" if named in ("last", "file") else "best.ckpt")
    out = capsys.readouterr().out
    assert str(expected) in out
    assert percent(out) == pytest.approx(100 * load(expected).provenance["val_accuracy"], abs=0.005)


def test_the_checkpoint_decides_on_the_network(run: Path, command: Command):
    assert command("test", "--ckpt_path", str(run), config="mnist1d_book") == 0


def test_predict_writes_a_table(run: Path, root: Path, command: Command, capsys: pytest.CaptureFixture[str]):
    assert command("predict", "--ckpt_path", str(run), "--run_dir", "mine") == 0
    assert "1,000" in capsys.readouterr().out
    with open("mine/predictions.csv") as file:
        table = list(csv.DictReader(file))
    x, y = MNIST1DData(root=str(root)).part("test")
    assert [int(row["label"]) for row in table] == y.tolist()
    right = sum(row["label"] == row["predicted"] for row in table) / len(table)
    assert right == pytest.approx(accuracy(load(run), x, y))
    assert all(0.1 <= float(row["probability"]) <= 1 for row in table)


def test_evaluating_leaves_the_run_as_it_is_and_adds_what_it_found(run: Path, command: Command, tmp_path: Path):
    before = {file.name: file.read_bytes() for file in run.iterdir() if file.name not in evaluation.FILES}
    for name in ("validate", "test"):
        assert command(name, "--run_dir", str(run)) == 0
    after = {file.name: file.read_bytes() for file in run.iterdir()}
    assert after.keys() == before.keys() | set(evaluation.FILES)
    assert all(after[name] == content for name, content in before.items())


def test_what_test_writes_is_what_the_classifier_does(run: Path, root: Path, command: Command):
    assert command("test", "--ckpt_path", str(run), "--run_dir", "elsewhere") == 0
    x, y = MNIST1DData(root=str(root)).part("test")
    classifier = load(run)
    with torch.no_grad():
        predicted = classifier(classifier.preprocess(x)).argmax(1)
    found = json.loads(Path("elsewhere/test.json").read_text())
    assert (found["samples"], found["checkpoint"]) == (1000, "best.ckpt")
    assert found["accuracy"] == pytest.approx(float((predicted == y).float().mean()))
    for digit in range(10):
        share = float((predicted == y)[y == digit].float().mean())
        assert found["class_accuracy"][str(digit)] == pytest.approx(share)
    with open("elsewhere/test_confusion.csv") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["label", *"0123456789"]
    counts = torch.tensor([[int(count) for count in row[1:]] for row in rows])
    assert torch.equal(counts, torch.bincount(10 * y + predicted, minlength=100).reshape(10, 10))
    assert Image.open("elsewhere/test_confusion.png").size[0] > 400


def test_of_many_classes_the_worst_are_shown():
    confusion = np.diag(np.full(100, 5))
    confusion[42] = 0
    confusion[42, [40, 52]] = 1, 4
    names = [f"{number:02}" for number in range(100)]
    found = evaluation.Evaluation("test", "", {}, {}, names, np.diag(confusion) / 5, confusion)
    heading, first, *others = found.table().splitlines()
    assert "10 lowest of 100" in heading
    assert first == "   42        5    0.00 %  52 (4), 40 (1)"
    assert len(others) == 9


def test_a_class_without_samples_has_no_accuracy():
    found = evaluation.Evaluation("test", "", {}, {}, "ab", np.array([1.0, 0.0]), np.array([[3, 0], [0, 0]]))
    assert found.table().splitlines()[2] == "    b        0         -"
