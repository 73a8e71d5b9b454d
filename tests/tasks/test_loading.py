from pathlib import Path

import pytest
import torch

from lightconv.errors import UsageError
from lightconv.tasks import MNIST1DClassifier, load


def test_the_same_classifier_comes_back(trained):
    classifier, data, path = trained
    loaded = load(path)
    assert type(loaded) is MNIST1DClassifier
    assert not loaded.training
    assert dict(loaded.hparams) == dict(classifier.hparams)
    x, _ = data.part("val")
    with torch.no_grad():
        assert torch.equal(loaded(loaded.preprocess(x)), classifier(classifier.preprocess(x)))


def test_provenance(trained):
    _, data, path = trained
    provenance = load(path).provenance
    assert provenance["task"] == "mnist1d"
    assert provenance["network"] == "tiny"
    assert provenance["data"] == data.describe()
    assert 0.5 < provenance["val_accuracy"] <= 1


def test_checkpoint_says_nothing_about_the_machine(trained, root: Path):
    _, _, path = trained
    content = path.read_bytes()
    assert str(root).encode() not in content
    assert str(Path.home()).encode() + b"/" not in content
    assert str(path.parent).encode() not in content


def test_lightning_s_own_way_works_too(trained):
    classifier, _, path = trained
    loaded = MNIST1DClassifier.load_from_checkpoint(path, weights_only=True)
    assert torch.equal(loaded.network[-1].weight, classifier.network[-1].weight)


def test_a_folder_stands_for_its_best(trained, tmp_path: Path):
    _, _, path = trained
    with pytest.raises(UsageError, match=r"best\.ckpt"):
        load(tmp_path)
    (tmp_path / "best.ckpt").write_bytes(path.read_bytes())
    assert load(tmp_path).hparams["network"] == "tiny"


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:1000],
        lambda content: content[:-100],
        flipped,
        lambda content: b"something else",
    ],
    ids=["empty", "beginning", "cut", "flipped", "text"],
)
def test_damage(trained, tmp_path: Path, damage):
    path = tmp_path / "x.ckpt"
    path.write_bytes(damage(trained[2].read_bytes()))
    with pytest.raises(UsageError, match="damaged"):
        load(path)


def test_missing(tmp_path: Path):
    with pytest.raises(UsageError, match="there is none"):
        load(tmp_path / "x.ckpt")


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {"state_dict": {}},
        {"state_dict": {}, "hyper_parameters": {}, "provenance": {"task": "unheard-of"}},
    ],
)
def test_foreign(tmp_path: Path, content):
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(UsageError, match="something else"):
        load(tmp_path / "x.ckpt")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["state_dict"].popitem(),
        lambda c: c["hyper_parameters"].update(network="book"),
        lambda c: c["hyper_parameters"].update(network="unheard-of"),
        lambda c: c["hyper_parameters"].update(unheard_of=1),
    ],
)
def test_other_parameters(trained, tmp_path: Path, change):
    checkpoint = torch.load(trained[2], weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, tmp_path / "x.ckpt")
    with pytest.raises(UsageError, match="other parameters"):
        load(tmp_path / "x.ckpt")


def test_nothing_is_unpickled(tmp_path: Path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"provenance": {"task": "mnist1d"}, "x": Trap()}, tmp_path / "x.ckpt")
    with pytest.raises(UsageError):
        load(tmp_path / "x.ckpt")
    assert not (tmp_path / "sprung").exists()
