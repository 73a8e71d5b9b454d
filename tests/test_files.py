"""Files whole or not at all."""

import errno
import os
from pathlib import Path

import pytest
from small_disk import forbid_writing, small_disk

from lightconv import files
from lightconv.files import Unwritable, beside


def test_whole(tmp_path: Path):
    path = tmp_path / "new" / "a.txt"
    with beside(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert os.listdir(path.parent) == ["a.txt"]


def interrupted(path: Path, error: BaseException) -> None:
    with beside(path) as file:
        file.write(b"half")
        raise error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), Unwritable),
        (ValueError("something else"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_or_not_at_all(error: BaseException, expected: type[BaseException], tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with pytest.raises(expected):
        interrupted(path, error)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_new_file_that_another_process_takes_for_a_dead_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lock = files.fcntl.flock
    taken = []

    def flock(file, how):
        if taken:
            return lock(file, how)
        taken.append(file.name)
        with open(file.name, "rb") as others:
            lock(others, how)
            try:
                return lock(file, how)
            finally:
                os.unlink(file.name)

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with beside(tmp_path / "a.txt") as file:
        file.write(b"whole")
    assert os.listdir(tmp_path) == ["a.txt"]
    assert taken


def test_where_the_file_system_knows_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def flock(file, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with beside(tmp_path / "a.txt") as file, beside(tmp_path / "a.txt") as other:
        file.write(b"whole")
        other.write(b"part")
    assert (tmp_path / "a.txt").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    sentence = r"^Expected to write .*file, but could not: (file exists|not a directory)\.$"
    with pytest.raises(Unwritable, match=sentence), beside(tmp_path / "file" / "a.txt"):
        pass


def test_a_file_system_that_cannot_be_written(tmp_path: Path):
    with small_disk(tmp_path / "disk", "100k") as disk:
        forbid_writing(disk)
        sentence = r"^Expected to write .*a.txt, but could not: read-only file system\.$"
        with pytest.raises(Unwritable, match=sentence), beside(disk / "a.txt"):
            pass
