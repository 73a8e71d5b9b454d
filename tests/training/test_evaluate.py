"""validate, test and predict."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lightconv.data import MNIST1DData
from lightconv.data.scoring import accuracy
from lightconv.tasks import load

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


def test_evaluating_leaves_the_run_as_it_is(run: Path, command: Command):
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    for name in ("validate", "test"):
        assert command(name, "--run_dir", str(run)) == 0
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before
