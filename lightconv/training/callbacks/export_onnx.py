"""The best checkpoint as an ONNX file, when fitting ends."""

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_info

from lightconv.files import make_folder
from lightconv.tasks import Classifier, load
from lightconv.tasks.loading import BEST
from lightconv.training.callbacks.best_and_last import BestAndLast


class ExportONNX(Callback):
    """Exports the best checkpoint when fitting ends: a model that takes raw input, checked, and its card beside it.

    Which is the best, :class:`BestAndLast` says, or Lightning's ModelCheckpoint; in a Trainer with neither, the
    weights are exported as they are. The callback is for this package's classifiers; for any other module there is
    :func:`lightconv.deploy.to_onnx`.

    Args:
        path: of the file; by default ``exports/<task>-<network>.onnx``.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path).expanduser()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make sure, before the work is done, that there is a classifier and a place for the file.

        Raises:
            TypeError: if the module is not a classifier.
            ExportError: if the file could not be written.
            Unwritable: if there is no folder for it and none can be made.
        """
        if stage != "fit":
            return
        if not isinstance(pl_module, Classifier):
            raise TypeError(
                f"Expected one of lightconv's classifiers to export, but got {type(pl_module).__name__}; "
                "export other modules with lightconv.deploy.to_onnx."
            )
        if trainer.is_global_zero and not getattr(trainer, "fast_dev_run", False):
            from lightconv.deploy.classifier import check_place

            path = self._place(pl_module)
            make_folder(path.parent)
            check_place(path)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Export."""
        if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        assert isinstance(pl_module, Classifier)
        from lightconv.deploy import export_onnx  # as late as it is needed: it loads onnx and onnxruntime

        best = _best(trainer)
        classifier = pl_module if best is None else load(best, pl_module.hparams["network"])
        training = classifier.training
        report = export_onnx(classifier.eval(), self._place(pl_module))
        classifier.train(training)
        rank_zero_info(str(report))

    def _place(self, classifier: Classifier) -> Path:
        return self.path or Path("exports") / f"{classifier.task}-{classifier.network_name}.onnx"


def _best(trainer: Trainer) -> Path | None:
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, BestAndLast):
            path = Path(callback.folder or trainer.log_dir or ".") / BEST
        elif isinstance(callback, ModelCheckpoint) and callback.best_model_path:
            path = Path(callback.best_model_path)
        else:
            continue
        if path.is_file():
            return path
    return None
