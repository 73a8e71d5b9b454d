"""Disks that are full or cannot be written, and two at once: one sentence, what was done is kept, the next goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from small_disk import contents, fill, forbid_writing, small_disk

from lightconv.training.run_folder import RunFolder

Command = Callable[..., int]
SHORT = ("--only", "tiny", "--trainer.max_epochs", "1")


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.long
def test_a_disk_fills_up_and_is_then_made_read_only(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with small_disk(tmp_path / "disk", "1500k") as disk:
        arguments = [*SHORT, "--run_dir", str(disk / "e")]
        assert command(*arguments, "--seeds", "1") == 0
        first = disk / "e" / "results" / "signals-tiny-1.json"
        before = first.read_bytes()
        capsys.readouterr()

        ballast = fill(disk, 65536)
        assert command(*arguments) == 1
        assert "no space left on device" in sentence(capsys)
        assert first.read_bytes() == before
        assert not list(disk.rglob("*.part"))
        ballast.unlink()
        assert command(*arguments) == 0
        assert "1 of 2 trainings are finished already" in capsys.readouterr().out

        forbid_writing(disk)
        before = contents(disk)
        for option in ((), ("--report_only",)):
            assert command(*arguments, *option) == 2
            said = sentence(capsys)
            assert said.startswith("lightconv: Expected a folder that can be written, but got ")
            assert "read-only file system" in said
        assert contents(disk) == before


def test_a_training_that_another_process_is_at(command: Command, capsys: pytest.CaptureFixture[str]):
    busy = RunFolder("e/runs/signals-tiny-1")
    busy.prepare()
    with busy.claimed():
        assert command(*SHORT, "--run_dir", "e") == 2
    assert "another one is writing to 'e/runs/signals-tiny-1'" in sentence(capsys)
    assert not list(Path("e/results").iterdir())
