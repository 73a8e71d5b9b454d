import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters_context

from lightconv.data.scoring import accuracy
from lightconv.errors import UsageError
from lightconv.tasks import MNIST1DClassifier
from lightconv.tasks.figures import Figures
from lightconv.training.quiet import quiet


def test_it_learns(trained):
    classifier, data, _ = trained
    assert accuracy(classifier, *data.part("val")) > 0.85


def test_statistics_are_the_training_part_s(trained):
    classifier, data, _ = trained
    x, _ = data.part("train")
    assert classifier.input_mean.item() == pytest.approx(x.mean().item(), abs=1e-6)
    assert classifier.input_std.item() == pytest.approx(x.std().item(), rel=1e-6)
    normalised = classifier.preprocess(x)
    assert normalised.mean().abs() < 1e-5
    assert normalised.std() == pytest.approx(1, abs=1e-5)


def test_logged_figures_are_those_of_the_weights(trained):
    classifier, data, _ = trained
    with quiet():
        trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
        (figures,) = trainer.test(classifier, data, verbose=False)
    x, y = data.part("test")
    with torch.no_grad():
        logits = classifier(classifier.preprocess(x))
    assert figures["test_accuracy"] == pytest.approx((logits.argmax(1) == y).float().mean().item())
    assert figures["test_loss"] == pytest.approx(torch.nn.functional.cross_entropy(logits, y).item(), rel=1e-5)


def test_preprocess_takes_both_shapes_and_any_real_dtype():
    classifier = MNIST1DClassifier(network="tiny")
    classifier.input_mean.fill_(2.0)
    classifier.input_std.fill_(4.0)
    raw = torch.randn(3, 40)
    expected = (raw[:, None] - 2) / 4
    assert torch.equal(classifier.preprocess(raw), expected)
    assert torch.equal(classifier.preprocess(raw[:, None]), expected)
    assert torch.allclose(classifier.preprocess(raw.double()), expected)
    assert classifier.preprocess(torch.zeros(2, 40, dtype=torch.int64)).dtype == torch.float32


@pytest.mark.parametrize("shape", [(3, 39), (40,), (3, 2, 40), (3, 1, 1, 40), (0,)])
def test_preprocess_refuses_other_shapes(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"\(N, 40\) or \(N, 1, 40\)"):
        MNIST1DClassifier(network="tiny").preprocess(torch.zeros(shape))


def test_no_argument_is_needed():
    classifier = MNIST1DClassifier()
    assert classifier.hparams["network"] == "light"
    assert (classifier.task, classifier.input_name, classifier.raw_shape) == ("mnist1d", "signal", (40,))
    assert classifier.class_names == tuple("0123456789")


def test_what_lightning_adds_to_the_arguments_is_left_out():
    """Lightning 2.5 hands it down to checkpoints, whose arguments must be those of the class."""
    given = {"_class_path": "lightconv.tasks.MNIST1DClassifier", "network": "tiny"}
    with _given_hyperparameters_context(given, "lightning.pytorch.cli.instantiate_module"):
        classifier = MNIST1DClassifier("tiny")
    assert dict(classifier.hparams) == {"network": "tiny"}


def test_predict_gives_probabilities():
    classifier = MNIST1DClassifier(network="tiny").eval()
    raw, labels = torch.randn(5, 1, 40), torch.zeros(5, dtype=torch.int64)
    probabilities = classifier.predict_step((raw, labels), 0)
    assert torch.allclose(probabilities.sum(1), torch.ones(5))
    assert torch.equal(classifier.predict_step(raw, 0), probabilities)


@pytest.mark.parametrize(
    "options",
    [
        {"network": "huge"},
        {"learning_rate": 0.0},
        {"momentum": 1.0},
        {"weight_decay": -1.0},
        {"halve_every": 0},
        {"optimizer": "adam"},
        {"schedule": "cosine"},
        {"network_options": {"colours": 3}},
    ],
)
def test_wrong_options(options: dict):
    with pytest.raises(UsageError, match=f"`{next(iter(options))}`"):
        MNIST1DClassifier(**options)


def test_figures_weigh_batches_by_their_size():
    figures = Figures("val", classes=2)
    logits, labels = torch.tensor([[1.0, 0], [1, 0], [1, 0], [0, 1]]), torch.tensor([0, 0, 0, 0])
    figures.update(torch.tensor(1.0), logits[:3], labels[:3])
    figures.update(torch.tensor(5.0), logits[3:], labels[3:])
    assert {name: float(value) for name, value in figures.compute().items()} == {
        "val_loss": 2.0,
        "val_accuracy": 0.75,
    }
    figures.update(torch.tensor(3.0), logits[3:], labels[3:])
    assert float(figures.compute()["val_loss"]) == 3.0, "counting begins anew"


def test_a_loss_that_is_not_a_number_is_seen():
    figures = Figures("train", classes=2)
    logits, labels = torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64)
    figures.update(torch.tensor(1.0), logits, labels)
    figures.update(torch.tensor(float("nan")), logits, labels)
    assert figures.compute()["train_loss"].isnan()
