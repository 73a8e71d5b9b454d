"""Files whole or not at all."""

import errno
import os
from pathlib import Path

import pytest
from small_disk import forbid_writing, small_disk

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
