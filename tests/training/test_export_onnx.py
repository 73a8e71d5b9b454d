"""ExportONNX: the best checkpoint as a file, when fitting ends."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from lightconv.data import MNIST1DData
from lightconv.deploy.files import ExportError
from lightconv.files import Unwritable
from lightconv.tasks import Classifier, MNIST1DClassifier, load
from lightconv.training import BestAndLast, ExportONNX
from lightconv.training.quiet import quiet

Fit = Callable[..., Classifier]


class Spoil(Callback):
    """Makes every epoch after the first one worse than no training at all."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch > 0:
            with torch.no_grad():
                for parameter in pl_module.parameters():
                    parameter.zero_()


@pytest.fixture
def fit(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """Trains on 100 signals; what is exported lies in ``model.onnx``."""
    monkeypatch.chdir(tmp_path)

    def run(*callbacks: Callback, epochs: int = 2, export: ExportONNX | None = None) -> Classifier:
        torch.manual_seed(0)
        classifier = MNIST1DClassifier(network="book", schedule="constant")
        trainer = Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            callbacks=[export or ExportONNX("model.onnx"), *callbacks],
            logger=False,
            enable_checkpointing=any(isinstance(c, BestAndLast | ModelCheckpoint) for c in callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with quiet():
            trainer.fit(classifier, MNIST1DData(root=str(root), fraction=0.05, val_split=0.5))
        return classifier

    return run


def assert_same_answers(path: Path, classifier: Classifier, root: Path) -> None:
    raw = MNIST1DData(root=str(root)).part("test")[0][:50]
    probabilities, labels = onnxruntime.InferenceSession(path).run(None, {"signal": raw[:, 0].numpy()})
    with torch.inference_mode():
        expected = classifier.eval()(classifier.preprocess(raw)).softmax(1).numpy()
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    assert (labels == expected.argmax(1)).all()
    assert len(np.unique(labels)) > 1


def test_the_best_checkpoint_not_the_last(fit: Fit, root: Path):
    classifier = fit(Spoil(), BestAndLast("kept"))
    best = load(Path("kept"))
    assert best.provenance["epochs"] == 1
    assert_same_answers(Path("model.onnx"), best, root)
    assert json.loads(Path("model.json").read_text())["provenance"]["epochs"] == 1
    assert not torch.equal(classifier.network[0].weight, best.network[0].weight), "training went on"


def test_of_lightning_s_own_checkpoints_too(fit: Fit, root: Path):
    kept = ModelCheckpoint("kept", monitor="val_loss", mode="min")
    fit(Spoil(), kept)
    assert_same_answers(Path("model.onnx"), load(kept.best_model_path), root)


def test_without_checkpoints_the_weights_as_they_are(fit: Fit, root: Path):
    classifier = fit(export=ExportONNX(), epochs=1)
    assert not list(Path().glob("*.onnx"))
    assert_same_answers(Path("exports/mnist1d-book.onnx"), classifier, root)


class Interrupt(Callback):
    """Ctrl-C in the second epoch."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt


def test_an_interrupted_fit_exports_nothing(fit: Fit):
    Path("model.onnx").write_bytes(b"an older one")
    with pytest.raises(SystemExit):
        fit(Interrupt(), BestAndLast("kept"))
    assert Path("kept/best.ckpt").exists()
    assert Path("model.onnx").read_bytes() == b"an older one"
    assert {path.name for path in Path().iterdir()} == {"kept", "model.onnx"}


def test_no_place_is_told_before_the_work(fit: Fit):
    Path("file").touch()
    with pytest.raises(Unwritable, match="Expected to write file/deep"):
        fit(export=ExportONNX("file/deep/model.onnx"))
    Path("model.onnx").write_bytes(b"an older one")
    Path("model.json").mkdir()
    with pytest.raises(ExportError, match=r"model\.json is a folder"):
        fit()
    with pytest.raises(ExportError, match=r"the name of an \.onnx file"):
        fit(export=ExportONNX("model.txt"))
    assert Path("model.onnx").read_bytes() == b"an older one"
    assert {path.name for path in Path().iterdir()} == {"file", "model.onnx", "model.json"}


class Block(Callback):
    """Somebody puts a folder where the card would go, while training goes on."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        Path("model.json").mkdir()


def test_no_place_any_more_keeps_the_old_file(fit: Fit):
    Path("model.onnx").write_bytes(b"an older one")
    with pytest.raises(ExportError, match=r"model\.json is a folder"):
        fit(Block(), BestAndLast("kept"), epochs=1)
    assert Path("model.onnx").read_bytes() == b"an older one"
    assert Path("kept/best.ckpt").exists(), "the work is not lost"
    assert {path.name for path in Path().iterdir()} == {"kept", "model.onnx", "model.json"}


def test_only_classifiers(fit: Fit, tmp_path: Path):
    class Other(LightningModule):
        pass

    with pytest.raises(TypeError, match=r"lightconv\.deploy\.to_onnx"):
        ExportONNX().setup(Trainer(accelerator="cpu", logger=False, barebones=True), Other(), "fit")


def test_from_the_command_line(root: Path, command: Callable[..., int]):
    arguments = ["--trainer.callbacks+=ExportONNX", "--trainer.max_epochs", "1", "--run_dir", "x"]
    assert command("fit", *arguments) == 0
    assert_same_answers(Path("exports/mnist1d-tiny.onnx"), load(Path("x")), root)
