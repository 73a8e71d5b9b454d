import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mnist1d.data import get_dataset_args, make_dataset
from small_collection import ARRAYS, collection, fill

from lightconv.data import InMemoryData, MNIST1DData, MNIST100Data, MNISTData
from lightconv.data.catalogue import CATALOGUE
from lightconv.errors import UsageError


def test_parts_of_a_small_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(CATALOGUE, "mnist", collection())
    fill(tmp_path)
    data = MNISTData(str(tmp_path), fraction=0.5, val_split=1 / 3, source="local")
    (train, labels), (val, _), (test, _) = (data.part(name) for name in ("train", "val", "test"))
    assert (train.shape, val.shape, test.shape) == ((20, 1, 28, 28), (10, 1, 28, 28), (20, 1, 28, 28))
    assert (train.dtype, labels.dtype) == (torch.uint8, torch.int64)
    known = {picture.tobytes() for picture in ARRAYS[0]}
    chosen = [picture.numpy().tobytes() for picture in (*train, *val)]
    assert set(chosen) <= known
    assert len(set(chosen)) == 30
    assert np.array_equal(test[:, 0].numpy(), ARRAYS[2])


def test_statistics_are_those_of_the_training_part():
    data = MNISTData(variant="digits", val_split=0.2)
    values = data.part("train")[0].double()
    assert data.statistics() == pytest.approx((float(values.mean()), float(values.std())), rel=1e-10)
    whole = MNISTData(variant="digits", val_split=0.0)
    assert data.statistics() != whole.statistics()


def test_digits_are_labelled_as_not_mnist():
    data = MNISTData(variant="digits")
    assert "not MNIST" in data.title
    assert "not MNIST" in data.describe()["title"]
    assert "not MNIST" in MNIST100Data(variant="digits").describe()["title"]
    assert "not MNIST" not in MNISTData().describe()["title"]


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    data = MNISTData(variant="digits", val_split=0.0)
    (train, train_labels), (test, test_labels) = data.part("train"), data.part("test")
    assert (len(train), len(test)) == (1500, 297)
    assert np.array_equal(np.bincount(torch.cat([train_labels, test_labels])), np.bincount(load_digits().target))
    old = torch.from_numpy(load_digits().images)[:, None] * 255 / 16
    expected = torch.nn.functional.interpolate(old, size=(28, 28), mode="bilinear").flatten(1)
    distance, index = torch.cdist(torch.cat([train, test]).double().flatten(1), expected).min(1)
    assert distance.max() < 28 / 2, "every pixel is rounded by at most a half"
    assert len(index.unique()) == 1797
    assert np.array_equal(load_digits().target[index], torch.cat([train_labels, test_labels]).numpy())


def test_class_names():
    assert MNISTData(variant="fashion_mnist").class_names[9] == "Ankle boot"
    assert MNISTData(variant="kmnist").class_names[1] == "ki"
    assert MNISTData().class_names == tuple("0123456789")


@pytest.mark.parametrize(
    "options",
    [
        {"variant": "emnist"},
        {"source": "ftp"},
        {"shift": -1},
        {"rotation": 200.0},
        {"scaling": 1.0},
        {"elastic": -1.0},
        {"repeats": 0},
        {"batch_size": 0},
    ],
)
@pytest.mark.parametrize("kind", [MNISTData, MNIST100Data])
def test_wrong_options(kind: type[InMemoryData], options: dict):
    with pytest.raises(UsageError, match=f"`{next(iter(options))}`"):
        kind(**options)


def test_the_same_batches_for_the_same_seed_and_epoch():
    loaders = [MNISTData(variant="digits", seed=seed).train_dataloader() for seed in (1, 1, 2)]
    for loader in loaders:
        loader.set_epoch(3)
    first, again, other = (torch.cat([y for _, y in loader]) for loader in loaders)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.skipif("LIGHTCONV_DATA" not in os.environ, reason="needs MNIST in $LIGHTCONV_DATA")
def test_the_real_files():
    data = MNISTData(source="local", val_split=0.0)
    y, test = data.part("train")[1], data.part("test")[1]
    assert y.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    mean, std = data.statistics()
    assert (round(mean / 255, 4), round(std / 255, 4)) == (0.1307, 0.3081)


@pytest.mark.parametrize(
    "options", [{"num_samples": 55}, {"num_samples": 0}, {"length": 1}, {"noise": -0.1}, {"white_noise": -1.0}]
)
def test_wrong_parameters_of_mnist1d(options: dict):
    with pytest.raises(UsageError, match=f"`{next(iter(options))}`"):
        MNIST1DData(**options)


def test_parameters_of_mnist1d(tmp_path: Path):
    chosen = {"num_samples": 200, "length": 64, "noise": 0.5, "white_noise": 0.1}
    data = MNIST1DData(str(tmp_path), val_split=0.0, **chosen)  # type: ignore[arg-type]
    arguments = get_dataset_args()
    arguments.num_samples, arguments.final_seq_length = 200, 64
    arguments.corr_noise_scale, arguments.iid_noise_scale = 0.5, 0.1
    expected = make_dataset(arguments)
    for part, x, y in (("train", "x", "y"), ("test", "x_test", "y_test")):
        assert np.array_equal(data.part(part)[0][:, 0].numpy(), expected[x].astype(np.float32))
        assert np.array_equal(data.part(part)[1].numpy(), expected[y])
    assert chosen.items() <= data.describe().items()
    assert data.title != MNIST1DData().title
    MNIST1DData(str(tmp_path), num_samples=200).prepare_data()
    assert len(list((tmp_path / "mnist1d").iterdir())) == 2, "each choice has a cache file of its own"
