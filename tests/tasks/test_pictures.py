import pytest
import torch
from lightning.pytorch import Trainer

from lightconv.data import MNIST100Data, MNISTData
from lightconv.data.scoring import accuracy
from lightconv.errors import UsageError
from lightconv.tasks import MNIST100Classifier, MNISTClassifier, load
from lightconv.training.quiet import quiet


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def fit(classifier, data, epochs: int) -> Trainer:
    with quiet():
        trainer = Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        )
        trainer.fit(classifier, data)
    classifier.eval()
    return trainer


@pytest.mark.parametrize("kind", [MNISTClassifier, MNIST100Classifier])
def test_no_argument_is_needed(kind: type):
    assert kind().hparams["network"] == "light"
    assert kind.input_name == "image"


@pytest.mark.parametrize("kind", [MNISTClassifier, MNIST100Classifier])
def test_preprocess_takes_bytes_with_and_without_a_channel(kind: type):
    classifier = kind(network="tiny")
    classifier.input_mean.fill_(33.0)
    classifier.input_std.fill_(79.0)
    raw = torch.randint(256, (3, *kind.raw_shape), dtype=torch.uint8)
    expected = (raw.unsqueeze(1).float() - 33) / 79
    for given in (raw, raw.unsqueeze(1), raw.float()):
        assert torch.equal(classifier.preprocess(given), expected)
    assert classifier.double().preprocess(raw).dtype == torch.float64


@pytest.mark.parametrize("name", ["original", "v1", "v2"])
def test_the_report_s_networks_see_enlarged_pictures(name: str):
    classifier = MNIST100Classifier(network=name)
    classifier.input_mean.fill_(33.0)
    classifier.input_std.fill_(79.0)
    raw = torch.randint(256, (3, 28, 56), dtype=torch.uint8)
    expected = torch.nn.functional.interpolate(
        raw.unsqueeze(1).float(), size=(128, 128), mode="bilinear", antialias=True
    )
    assert torch.allclose(classifier.preprocess(raw), (expected - 33) / 79, atol=1e-5)
    assert classifier.double().preprocess(raw).dtype == torch.float64


@pytest.mark.parametrize("shape", [(3, 28, 27), (28, 28), (3, 3, 28, 28), (3, 28, 56)])
def test_preprocess_refuses_other_shapes(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"images of shape \(N, 28, 28\) or \(N, 1, 28, 28\)"):
        MNISTClassifier(network="tiny").preprocess(torch.zeros(shape, dtype=torch.uint8))


def test_digits_are_learnt(tmp_path):
    classifier, data = MNISTClassifier(network="tiny", weight_decay=0.01), MNISTData(variant="digits", shift=1)
    trainer = fit(classifier, data, epochs=3)
    assert accuracy(classifier, *data.part("test")) > 0.95
    x, _ = data.part("train")
    assert classifier.input_mean.item() == pytest.approx(x.double().mean().item(), rel=1e-6)
    assert classifier.input_std.item() == pytest.approx(x.double().std().item(), rel=1e-6)
    trainer.save_checkpoint(tmp_path / "some.ckpt")
    loaded = load(tmp_path / "some.ckpt")
    assert type(loaded) is MNISTClassifier
    with torch.no_grad():
        assert torch.equal(loaded(loaded.preprocess(x[:9])), classifier(classifier.preprocess(x[:9])))


def test_numbers_are_learnt():
    classifier = MNIST100Classifier(network="tiny", weight_decay=0.01)
    data = MNIST100Data(variant="digits", fraction=0.5)
    fit(classifier, data, epochs=2)
    assert accuracy(classifier, *data.part("test")) > 0.92


def test_the_notebook_s_network_learns_by_its_recipe():
    recipe = {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.5, "weight_decay": 0.0, "schedule": "constant"}
    classifier, data = MNISTClassifier(network="book", **recipe), MNISTData(variant="digits", val_split=0.0)
    fit(classifier, data, epochs=8)
    assert accuracy(classifier, *data.part("test")) > 0.85


def test_classes_are_named_by_the_data(tmp_path):
    class Clothes(MNISTData):
        class_names = tuple("abcdefghij")

    classifier = MNISTClassifier(network="tiny")
    trainer = fit(classifier, Clothes(variant="digits", fraction=0.1), epochs=1)
    trainer.save_checkpoint(tmp_path / "some.ckpt")
    assert load(tmp_path / "some.ckpt").class_names == tuple("abcdefghij")
    assert MNISTClassifier.class_names == tuple("0123456789")


def test_data_of_other_classes_are_refused():
    with pytest.raises(UsageError, match="`data` of 10 classes for MNISTClassifier, but got MNIST100Data with 100"):
        fit(MNISTClassifier(network="tiny"), MNIST100Data(variant="digits"), epochs=1)
