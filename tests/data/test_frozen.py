import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightconv.data import MNIST1DData
from lightconv.data.frozen import read_frozen
from lightconv.data.idx import Damaged
from lightconv.errors import UsageError

RANDOM = np.random.default_rng(2)
PUBLISHED = {
    "x": RANDOM.normal(size=(4000, 40)),
    "x_test": RANDOM.normal(size=(1000, 40)),
    "y": np.arange(4000) % 10,
    "y_test": np.arange(1000) % 10,
    "t": np.linspace(-1, 1, 40),
    "templates": {"x": np.zeros((10, 12)), "t": np.zeros(12), "y": np.arange(10)},
}


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("module", ["numpy.core", "numpy._core"])
def test_arrays_come_back(protocol: int, module: str, tmp_path: Path):
    path = tmp_path / "x.pkl"
    held = {"a": np.arange(6.0).reshape(2, 3), "b": [np.asfortranarray(np.eye(3, 2)), {"c": np.array([1, 2], ">i4")}]}
    content = pickle.dumps(held, protocol)
    if protocol == 3:  # the length of the name is not stored in these protocols
        content = content.replace(b"numpy._core", module.encode()).replace(b"numpy.core", module.encode())
    path.write_bytes(content)
    if protocol == 2:  # arrays as latin-1 text, by way of a function
        with pytest.raises(Damaged, match="_codecs"):
            read_frozen(path)
        return
    found = read_frozen(path)
    assert np.array_equal(found["a"], held["a"])
    assert np.array_equal(found["b"][0], held["b"][0])  # type: ignore[index]
    assert found["b"][1]["c"].tolist() == [1, 2]


@pytest.mark.parametrize("place", ["mnist1d_data.pkl", "mnist1d/mnist1d_data.pkl"])
def test_the_published_data_set(place: str, tmp_path: Path):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(PUBLISHED, 3))
    data = MNIST1DData(str(tmp_path), val_split=0.0, source="frozen")
    x, y = data.part("train")
    assert np.array_equal(x[:, 0].numpy(), PUBLISHED["x"].astype(np.float32))  # type: ignore[union-attr]
    assert np.array_equal(y.numpy(), PUBLISHED["y"])
    assert len(data.part("test")[1]) == 1000
    assert data.describe()["source"] == "frozen"


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def of_reduced(shape: Any, dtype: Any, content: Any) -> Call:
    """Pickles as an array that is put together from these."""
    reconstruct, arguments, *_ = np.zeros(1).__reduce__()  # type: ignore[misc]

    class Array(Call):
        def __reduce__(self) -> Any:
            return reconstruct, arguments, (1, shape, dtype, False, content)

    return Array(None)


MARK = "it-was-run"
EVIL = {
    "a command": lambda: Call(os.system, f"touch {MARK}"),
    "evaluation": lambda: Call(eval, f"open('{MARK}', 'w')"),
    "a file": lambda: Call(open, MARK, "w"),
    "numpy's load": lambda: Call(np.load, MARK),
    "objects in an array": lambda: np.array([object(), Call(os.system, f"touch {MARK}")]),
    "a record": lambda: np.zeros(2, [("a", "f8")]),
    "a large shape": lambda: of_reduced((10**12,), np.dtype("f8"), b"12345678"),
    "a negative shape": lambda: of_reduced((-1, -1), np.dtype("f8"), b"12345678"),
    "no bytes": lambda: of_reduced((1,), np.dtype("f8"), [1.0]),
    "no type": lambda: of_reduced((1,), "f8", b"12345678"),
}


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_else_is_run(evil: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mnist1d_data.pkl"
    path.write_bytes(pickle.dumps({**PUBLISHED, "x": EVIL[evil]()}, 3))
    with pytest.raises(UsageError, match="Expected the published MNIST-1D") as error:
        MNIST1DData(str(tmp_path), source="frozen").prepare_data()
    assert "\n" not in str(error.value)
    assert not (tmp_path / MARK).exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "pickle"),
        (b"<html></html>", "pickle"),
        (pickle.dumps(PUBLISHED, 3)[:-5000], "pickle"),
        (pickle.dumps([1, 2], 3), "no array 'x'"),
        (pickle.dumps({**PUBLISHED, "y": None}, 3), "no array 'y'"),
        (pickle.dumps({**PUBLISHED, "x": np.zeros((4000, 39))}, 3), "x_train"),
        (pickle.dumps({**PUBLISHED, "y": np.arange(4000)}, 3), "labels"),
        (pickle.dumps({**PUBLISHED, "y": np.zeros(4000)}, 3), "y_train"),
    ],
)
def test_damage(content: bytes, complaint: str, tmp_path: Path):
    (tmp_path / "mnist1d_data.pkl").write_bytes(content)
    with pytest.raises(UsageError, match=complaint):
        MNIST1DData(str(tmp_path), source="frozen").prepare_data()


def test_too_large(tmp_path: Path):
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps([0] * 1000))
    with pytest.raises(Damaged, match="more than the 1,000"):
        read_frozen(path, limit=1000)


def test_not_there_or_not_that_one(tmp_path: Path):
    with pytest.raises(UsageError, match="generated"):
        MNIST1DData(str(tmp_path), source="frozen").prepare_data()
    with pytest.raises(UsageError, match="`noise`"):
        MNIST1DData(str(tmp_path), source="frozen", noise=1.0)
