"""What a network costs: parameters, multiply-adds, bytes and time."""

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import lightconv
from lightconv.deploy.classifier import export_onnx
from lightconv.deploy.runtime import Classifier as Runtime
from lightconv.tasks import Classifier


@dataclass(frozen=True)
class Cost:
    """What a classifier costs.

    Attributes:
        parameters: what is trained.
        multiply_adds: of the convolutions and matrix products, for one sample.
        onnx_bytes: the size of the exported file.
        microseconds: onnxruntime's time for one sample on one thread, from raw input to label, median.
    """

    parameters: int
    multiply_adds: int
    onnx_bytes: int
    microseconds: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def multiply_adds(classifier: Classifier) -> int:
    """Multiply-adds of the convolutions and matrix products for one sample, its pre-processing not counted.

    >>> from lightconv.tasks import MNISTClassifier
    >>> multiply_adds(MNISTClassifier("book"))
    480500
    """
    training = classifier.training
    raw = torch.zeros(
        1, *classifier.raw_shape, dtype=torch.uint8 if classifier.input_name == "image" else torch.float32
    )
    x = classifier.eval().preprocess(raw)
    # PyTorch's counter knows PyTorch's operators.
    with torch.no_grad(), lightconv.backend("aten"), FlopCounterMode(display=False) as counter:
        classifier(x)
    classifier.train(training)
    return int(counter.get_total_flops()) // 2


def costs(classifiers: Sequence[Classifier], rounds: int = 51) -> list[Cost]:
    """What each costs; the times are taken in turn.

    Args:
        classifiers: untrained ones; their last layer's weights are changed.
        rounds: of the measurement of time.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.onnx" for number in range(len(classifiers))]
        for classifier, file in zip(classifiers, files, strict=True):
            _calm(classifier)
            export_onnx(classifier.eval(), file)
        sizes = [file.stat().st_size for file in files]
        times = _microseconds([Runtime(file, threads=1) for file in files], rounds)
    return [
        Cost(sum(p.numel() for p in classifier.parameters()), multiply_adds(classifier), size, round(taken, 1))
        for classifier, size, taken in zip(classifiers, sizes, times, strict=True)
    ]


@torch.no_grad()
def _calm(classifier: Classifier) -> None:
    """Make the logits small: those of an untrained network may be so large that they show rounding to the export."""
    *_, last = (parameter for parameter in classifier.parameters() if parameter.ndim > 1)
    last.mul_(0.01)


def _microseconds(runtimes: Sequence[Runtime], rounds: int) -> list[float]:
    calls = [
        (runtime.session, {runtime.input_name: np.zeros((1, *runtime.shape), runtime.dtype)}) for runtime in runtimes
    ]
    taken: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds + 3):
        for (session, feed), times in zip(calls, taken, strict=True):
            start = time.perf_counter()
            session.run(None, feed)
            if turn >= 3:  # the first are a warm-up
                times.append(1e6 * (time.perf_counter() - start))
    return [statistics.median(times) for times in taken]
