"""Whenever a run dies, it goes on to the same end."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from forked import Runs

# Dropout, augmentation, validation: all that is random.
RUN = [
    *["fit", "--config", "mnist_book", "--threads", "1", "--trainer.accelerator", "cpu", "--trainer.max_epochs", "6"],
    *["--data.variant", "digits", "--data.fraction", "0.2", "--data.val_split", "0.2", "--data.shift", "2"],
]


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    runs = Runs()
    yield runs
    runs.close()


@pytest.fixture(scope="module")
def straight(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The folder of a run that nothing happened to, and the seconds it took."""
    folder = tmp_path_factory.mktemp("straight")
    runs.start(*RUN, "--run_dir", str(folder))
    start = time.monotonic()
    assert runs.end() == 0
    return folder, time.monotonic() - start


def same(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def assert_same_run(folder: Path, other: Path) -> None:
    for name in ("best.ckpt", "last.ckpt"):
        one, two = (torch.load(place / name, weights_only=True) for place in (folder, other))
        for part in ("epoch", "global_step", "state_dict", "optimizer_states", "provenance"):
            assert same(one[part], two[part]), (name, part)
    for name in ("metrics.csv", "curves.png"):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    assert not list(folder.glob(".*"))


def test_killed_thrice_on_the_way(runs: Runs, straight: tuple[Path, float], tmp_path: Path):
    expected, _ = straight
    go_on = [*RUN, "--run_dir", str(tmp_path), "--ckpt_path", "last"]
    # config.yaml: calls 1 and 2; best.ckpt and last.ckpt: 3 to 6; then metrics.csv
    assert runs.run(*go_on, dies_at=5) == -signal.SIGKILL, "last.ckpt is written, and not in its place"
    assert {path.name for path in tmp_path.glob("*.ckpt")} == {"best.ckpt"}
    for _ in range(2):
        assert runs.run(*go_on, dies_at=random.Random(0).randrange(9, 15)) == -signal.SIGKILL
        assert (tmp_path / "last.ckpt").exists()
    assert runs.run(*go_on) == 0
    assert_same_run(tmp_path, expected)
    assert runs.run(*go_on) == 0, "there is nothing left to do"
    assert_same_run(tmp_path, expected)


def test_killed_after_the_last_checkpoint(runs: Runs, straight: tuple[Path, float], tmp_path: Path):
    go_on = [*RUN, "--run_dir", str(tmp_path), "--ckpt_path", "last"]
    assert runs.run(*RUN, "--run_dir", str(tmp_path)) == 0
    for name in ("metrics.csv", "curves.png"):
        (tmp_path / name).unlink()
    assert runs.run(*go_on) == 0
    assert_same_run(tmp_path, straight[0])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_asked_to_stop(number: int, status: int, runs: Runs, straight: tuple[Path, float], tmp_path: Path):
    many = [*RUN, "--trainer.max_epochs", "1000"]
    pid = runs.start(*many, "--run_dir", str(tmp_path))
    while not (tmp_path / "metrics.csv").exists():
        time.sleep(0.05)
    os.kill(pid, number)
    assert runs.end() == status
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"]
    rows = len((tmp_path / "metrics.csv").read_text().splitlines()) - 1
    assert rows - (saved + 1) in (0, 1), "each epoch that was saved, and one that was complete when the signal came"


@pytest.mark.long
def test_killed_at_any_moment(runs: Runs, straight: tuple[Path, float], tmp_path: Path):
    expected, seconds = straight
    moments = random.Random(1)
    for kill in range(10):
        go_on = [*RUN, "--run_dir", str(tmp_path / str(kill)), "--ckpt_path", "last"]
        if kill % 2:
            runs.run(*go_on, dies_at=moments.randrange(1, 50))
        else:
            runs.killed_after(moments.uniform(0, seconds), *go_on)
        assert runs.run(*go_on) == 0
        assert_same_run(tmp_path / str(kill), expected)
