import logging
from pathlib import Path

import numpy as np
import pytest

from lightconv.data.cache import cached
from lightconv.files import Unwritable

LAYOUT = {"a": ((3,), "float32"), "b": ((2, 2), "int64")}
VALUES = {"a": np.array([1, 2, 3], np.float32), "b": np.arange(4).reshape(2, 2)}


class Maker:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, np.ndarray]:
        self.calls += 1
        return VALUES


def get(path: Path, make: Maker, **options: bool) -> None:
    arrays = cached(path, LAYOUT, make, **options)
    assert arrays.keys() >= VALUES.keys()
    assert all(np.array_equal(arrays[name], VALUES[name]) for name in VALUES)


def test_made_once_and_nothing_left_beside(tmp_path: Path):
    make, path = Maker(), tmp_path / "new" / "folder" / "x.npz"
    get(path, make)
    get(path, make)
    assert make.calls == 1
    assert [file.name for file in path.parent.iterdir()] == ["x.npz"]


def flip(content: bytes, place: float) -> bytes:
    changed = bytearray(content)
    changed[int(place * len(changed))] ^= 0xFF
    return bytes(changed)


def repack(path: Path, **arrays: object) -> None:
    with np.load(path) as file:
        kept = dict(file)
    np.savez(path, **{**kept, **arrays})


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "text": lambda path: path.write_text("not a zip file"),
    "bit": lambda path: path.write_bytes(flip(path.read_bytes(), 0.3)),
    "value": lambda path: repack(path, a=np.array([1, 2, 4], np.float32)),
    "shape": lambda path: repack(path, a=np.zeros(4, np.float32)),
    "dtype": lambda path: repack(path, a=np.zeros(3)),
    "pickle": lambda path: np.savez(path, a=np.array([object()]), b=1, sha256="x"),
    "missing": lambda path: np.savez(path, a=VALUES["a"]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_in_one_line_and_repaired(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    make, path = Maker(), tmp_path / "x.npz"
    get(path, make)
    DAMAGE[damage](path)
    with caplog.at_level(logging.WARNING):
        get(path, make)
    assert make.calls == 2
    (record,) = caplog.records
    assert str(path) in record.getMessage()
    assert "\n" not in record.getMessage()
    get(path, make)
    assert make.calls == 2


def test_a_folder_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "x.npz"
    make = Maker()
    with pytest.raises(Unwritable):
        cached(path, LAYOUT, make)
    assert make.calls == 0, "it should be noticed before the work is done"
    get(path, make, required=False)
    assert "x.npz" in caplog.text
