"""One run a folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from lightconv.errors import UsageError
from lightconv.training.run_folder import RunFolder

HOLD = """
import sys
from lightconv.training.run_folder import RunFolder
with RunFolder(sys.argv[1]).claimed():
    print("claimed", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_one_runs_at_a_time(tmp_path: Path):
    pytest.importorskip("fcntl")
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "claimed\n"
        with (
            pytest.raises(UsageError, match="for this run alone, but another one is writing"),
            RunFolder(tmp_path).claimed(),
        ):
            pass
        other.kill()
    with RunFolder(tmp_path).claimed():
        assert not list(tmp_path.iterdir())


def test_what_was_half_written_goes_away(tmp_path: Path):
    (tmp_path / ".last.ckpt.part").write_bytes(b"half")
    (tmp_path / "last.ckpt").write_bytes(b"whole")
    with RunFolder(tmp_path).claimed():
        assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
