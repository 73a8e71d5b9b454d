"""A disk that is full: one sentence, the old files as they were, nothing half written, and the next run goes on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_disk import contents, fill, small_disk

from lightconv.cli import main

Command = Callable[..., int]
ONE_EPOCH = ("--trainer.max_epochs", "1")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "300k") as folder:
        yield folder


@pytest.mark.parametrize("left", [0, 8192, 65536])
def test_fit(command: Command, disk: Path, left: int, capsys: pytest.CaptureFixture[str]):
    ballast = fill(disk, left)
    assert command("fit", *ONE_EPOCH, "--run_dir", str(disk / "run")) == 1
    said = capsys.readouterr().err
    assert "no space left on device" in said
    assert len(said.strip().splitlines()) == 1
    assert not [file for file in contents(disk) if file.endswith(".part")]
    ballast.unlink()
    assert command("fit", *ONE_EPOCH, "--run_dir", str(disk / "run")) == 0
    assert (disk / "run" / "last.ckpt").stat().st_size > 10_000


def test_export(run: Path, disk: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["export", "--ckpt_path", str(run / "best.ckpt"), "--output", str(disk / "model.onnx")]
    assert main(arguments) == 0
    before = contents(disk)
    ballast = fill(disk, 4096)
    capsys.readouterr()
    assert main(arguments) in (1, 2)
    said = capsys.readouterr().err
    assert "space" in said.lower()
    assert len(said.strip().splitlines()) == 1
    ballast.unlink()
    assert contents(disk) == before
