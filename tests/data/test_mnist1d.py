import random
from pathlib import Path

import numpy as np
import pytest
import torch
from mnist1d.data import get_dataset_args, make_dataset

from lightconv.data import MNIST1DData, generate
from lightconv.data.cache import Arrays
from lightconv.errors import UsageError


def test_it_is_the_default_data_set(root: Path):
    random_state, numpy_state = random.getstate(), np.random.get_state()
    expected = make_dataset(get_dataset_args())
    random.setstate(random_state)
    np.random.set_state(numpy_state)
    data = MNIST1DData(root=str(root), val_split=0.0)
    for part, x_name, y_name in (("train", "x", "y"), ("test", "x_test", "y_test")):
        x, y = data.part(part)
        assert x.dtype == torch.float32
        assert y.dtype == torch.int64
        assert np.array_equal(x[:, 0].numpy(), expected[x_name].astype(np.float32))
        assert np.array_equal(y.numpy(), expected[y_name])


def test_splits(root: Path):
    whole = MNIST1DData(root=str(root), val_split=0.0).part("train")[0]
    data = MNIST1DData(root=str(root), fraction=0.5, val_split=0.2)
    train, val, test = (data.part(name)[0] for name in ("train", "val", "test"))
    assert [len(part) for part in (train, val, test)] == [1600, 400, 1000]
    rows = {row.numpy().tobytes() for row in whole}
    kept = [row.numpy().tobytes() for part in (train, val) for row in part]
    assert set(kept) <= rows
    assert len(set(kept)) == 2000, "training and validation must not share a signal"
    assert not {row.numpy().tobytes() for row in test} & rows


def test_all_classes_are_in_each_part(root: Path):
    data = MNIST1DData(root=str(root), val_split=0.1)
    train, val = (data.part(name)[1].bincount() / len(data.part(name)[1]) for name in ("train", "val"))
    assert (train - val).abs().max() < 0.005


def test_loaders(root: Path):
    data = MNIST1DData(root=str(root), batch_size=64, fraction=0.1)
    data.setup("fit")
    x, y = next(iter(data.train_dataloader()))
    assert (tuple(x.shape), tuple(y.shape)) == ((64, 1, 40), (64,))
    assert len(data.train_dataloader()) == 6
    assert "test" not in data._parts, "fitting must not touch the test set"
    assert len(data.test_dataloader()) == 16
    assert MNIST1DData(root=str(root), val_split=0.0).val_dataloader() == []


def test_global_random_states_stay(tmp_path: Path):
    random.seed(5)
    np.random.seed(6)
    torch.manual_seed(7)
    expected = random.random(), np.random.rand(), torch.rand(1)
    random.seed(5)
    np.random.seed(6)
    torch.manual_seed(7)
    MNIST1DData(root=str(tmp_path)).setup()
    generate(20, seed=1)
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected


def test_fresh_signals_are_fresh(root: Path):
    x, y = generate(50, seed=3)
    again, _ = generate(50, seed=3)
    other, _ = generate(50, seed=4)
    assert (x.dtype, y.dtype, tuple(x.shape)) == (torch.float32, torch.int64, (50, 1, 40))
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    known = {row.numpy().tobytes() for row in MNIST1DData(root=str(root), val_split=0.0).part("train")[0]}
    assert not {row.numpy().tobytes() for row in x} & known


def test_shuffled_variant_permutes_every_signal_alike(root: Path):
    ordered = MNIST1DData(root=str(root), val_split=0.0).part("train")[0][:, 0]
    shuffled = MNIST1DData(root=str(root), val_split=0.0, variant="shuffled").part("train")[0][:, 0]
    assert not torch.equal(ordered, shuffled)
    assert torch.equal(ordered.sort(1).values, shuffled.sort(1).values)
    places = [int((shuffled == column[:, None]).all(0).nonzero()) for column in ordered.T]
    assert sorted(places) == list(range(40))


def test_root_from_the_environment(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTCONV_DATA", str(root))
    assert MNIST1DData().root == root
    monkeypatch.delenv("LIGHTCONV_DATA")
    assert MNIST1DData().root == Path("data")


def test_a_named_root_must_be_writable_the_default_need_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LIGHTCONV_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("data").touch()
    assert len(MNIST1DData().part("test")[1]) == 1000
    with pytest.raises(UsageError, match="data"):
        MNIST1DData(root="data").prepare_data()


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"val_split": 1.0},
        {"val_split": -0.1},
        {"fraction": 0.0},
        {"fraction": 1.1},
        {"seed": -1},
        {"variant": "sideways"},
    ],
)
def test_wrong_options(options: dict):
    with pytest.raises(UsageError, match=f"`{next(iter(options))}`"):
        MNIST1DData(**options)


def test_wrong_number_of_fresh_signals():
    with pytest.raises(UsageError, match="multiple of 10"):
        generate(15)


def test_a_stage_reads_the_data_once(root: Path):
    read = []

    class Counted(MNIST1DData):
        def load(self) -> Arrays:
            read.append(1)
            return super().load()

    data = Counted(root=str(root))
    for stage in ("fit", "test", "fit"):
        data.prepare_data()
        data.setup(stage)
    assert len(read) == 2, "fit does not keep the test set"
    data.prepare_data()
    assert len(read) == 2, "nothing is missing"
