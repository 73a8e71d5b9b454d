"""Callbacks that work in any Trainer; the command line adds them by itself."""

from lightconv.training.callbacks.best_and_last import BestAndLast
from lightconv.training.callbacks.curves import Curves
from lightconv.training.callbacks.epoch_seed import EpochSeed
from lightconv.training.callbacks.export_onnx import ExportONNX
from lightconv.training.callbacks.metrics_file import MetricsFile
from lightconv.training.callbacks.progress import Progress

__all__ = ["BestAndLast", "Curves", "EpochSeed", "ExportONNX", "MetricsFile", "Progress"]
