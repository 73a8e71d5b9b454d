"""Damaged files, drawn at random: cut, doubled, overwritten."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from readers import READERS, written

Edit = tuple[str, float, float, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(("overwrite", "overwrite", "insert", "delete", "repeat", "cut")),
        st.floats(0, 1),
        st.floats(0, 1),
        st.one_of(st.binary(min_size=1, max_size=6), st.sampled_from((b"\xff" * 8, b"\x00" * 8, b"-1", b"9" * 400))),
    ),
    min_size=1,
    max_size=4,
)


def edited(content: bytes, edits: list[Edit]) -> bytes:
    for kind, where, share, new in edits:
        at = round(where * len(content))
        end = at + round(share * min(64, len(content) - at))
        if kind == "overwrite":
            content = content[:at] + new + content[at + len(new) :]
        elif kind == "insert":
            content = content[:at] + new + content[at:]
        elif kind == "delete":
            content = content[:at] + content[end:]
        elif kind == "repeat":
            content = content[:end] + content[at:]
        else:
            content = content[:at]
    return content


def draw_and_read(name: str, folder: Path, chosen: settings) -> None:
    reader = READERS[name]
    seeds = reader.seeds()

    @chosen
    @given(seed=st.sampled_from(seeds), edits=EDITS)
    def check(seed: bytes, edits: list[Edit]) -> None:
        reader.survives(folder / f"file{reader.suffix}", edited(seed, edits))

    check()


@pytest.mark.parametrize("name", READERS)
def test_whole_files_are_read(name: str, tmp_path: Path):
    reader = READERS[name]
    for seed in reader.seeds():
        (tmp_path / f"file{reader.suffix}").write_bytes(seed)
        if name != "pickle" or not seed.startswith(b"\x80\x02"):  # arrays of protocol 2 ask for a function
            reader.read(tmp_path / f"file{reader.suffix}")


@pytest.mark.parametrize("name", READERS)
def test_damaged_files(name: str, tmp_path: Path):
    draw_and_read(name, tmp_path, settings(max_examples=60))


@pytest.mark.long
@pytest.mark.parametrize("name", READERS)
def test_many_damaged_files(name: str, tmp_path: Path):
    draw_and_read(name, tmp_path, settings(max_examples=3000, derandomize=False))


def packed(method: int) -> bytes:
    """An `.npz` file by a method that NumPy does not use, damaged."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as members:
        for name in "ab":
            members.writestr(f"{name}.npy", written(np.save, np.arange(100)))
    content = bytearray(file.getvalue())
    content[80:120] = bytes(40)
    return bytes(content)


MODEL = READERS["model"].seeds()[0]

# what the fuzzers have found
FOUND = {
    "config": [b"[" * 20_000],
    "pickle": [b"\x80\x03" + b"(" * 20_000, b"\x80\x04Nr\xff\xff\xff\x7f."],  # the second: 16 GB for 9 bytes
    "array": [b"\x93NUMPY\x01\x00" + header for header in (b"\xff\xff" + b"(" * 65_535, b"\1\0\0", b"\1\0(")],
    "npz": [
        READERS["npz"].seeds()[0][36:],
        READERS["npz"].seeds()[0].replace(b"\x80\x01\x00", b"\x80\x01\xcf"),
        packed(zipfile.ZIP_BZIP2),
        packed(zipfile.ZIP_LZMA),
    ],
    "model": [MODEL.replace(b"batch", b"b\xf4tch")],
    "cache": [READERS["npz"].seeds()[0][36:]],
}


@pytest.mark.parametrize(("name", "number"), [(name, i) for name in FOUND for i in range(len(FOUND[name]))])
def test_files_that_were_misread_once(name: str, number: int, tmp_path: Path):
    READERS[name].survives(tmp_path / f"file{READERS[name].suffix}", FOUND[name][number])
