"""A disk that is full: one sentence, the old files as they were, nothing half written, and the next run goes on."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lightconv.cli import main

Command = Callable[..., int]
ONE_EPOCH = ("--trainer.max_epochs", "1")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, left: int) -> Path:
    """Leave so many bytes."""
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - left)))
    return ballast


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


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
