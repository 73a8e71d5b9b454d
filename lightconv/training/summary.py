"""A trained run and the model that was exported from it, side by side."""

from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from lightconv.data.scoring import evaluation_sets
from lightconv.deploy.classifier import card_path
from lightconv.deploy.runtime import Classifier as Runtime
from lightconv.deploy.runtime import InputError
from lightconv.errors import Parser, UsageError
from lightconv.tasks import load
from lightconv.training.callbacks.curves import CURVES

_WIDTH = 35


def summary(arguments: list[str]) -> None:
    """Print accuracy in PyTorch and in onnxruntime, size, largest difference, and where the files lie.

    Raises:
        UsageError: if the run or the model cannot be used.
        RuntimeError: if the two disagree by more than 1e-5 in a probability.
    """
    parser = Parser(
        prog="lightconv summary", description="Compare a trained run with its exported model, and say where both lie."
    )
    parser.add_argument("--run_dir", required=True, metavar="FOLDER", help="the run's folder")
    parser.add_argument("--model", required=True, metavar="FILE.onnx", help="the exported model")
    parser.add_argument("--network", metavar="FILE.py", help="the file of the run's network, if it is one of yours")
    parser.add_argument("--root", metavar="FOLDER", help="where the data lie")
    given = parser.parse_args(arguments)

    torch.set_num_threads(1)  # the networks are too small to share
    classifier = load(given.run_dir, given.network)
    try:
        runtime = Runtime(given.model, threads=1)
    except InputError as error:
        raise UsageError(str(error)) from error
    if runtime.shape != classifier.raw_shape:
        raise UsageError(
            f"Expected the model that was exported from {given.run_dir}, a classifier of {classifier.task}, but "
            f"{given.model} takes {runtime.input_name} of {' x '.join(map(str, runtime.shape))}."
        )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(min_width=_WIDTH)
    table.add_column("PyTorch")
    table.add_column("onnxruntime")
    difference, disagreeing = 0.0, 0
    for name, (_, x, y) in evaluation_sets(classifier.task, given.root, classifier.provenance.get("data")).items():
        with torch.inference_mode():
            ours = classifier(classifier.preprocess(x)).softmax(1).numpy()
        theirs = _probabilities(runtime, x.numpy())
        accuracies = [100 * float((p.argmax(1) == y.numpy()).mean()) for p in (ours, theirs)]
        table.add_row(f"accuracy, {len(y):,} {name} samples", *(f"{accuracy:.2f} %" for accuracy in accuracies))
        difference = max(difference, float(np.abs(ours - theirs).max()))
        disagreeing += int((ours.argmax(1) != theirs.argmax(1)).sum())
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    count = sum(parameter.numel() for parameter in classifier.parameters())
    for what, value in {
        "largest difference of a probability": f"{difference:.1e}, {disagreeing} labels differ",
        "network": f"{classifier.network_name}, {count:,} parameters",
        "exported model": f"{given.model}, {Path(given.model).stat().st_size:,} bytes",
        "its card": str(card_path(given.model)),
        "curves": str(Path(given.run_dir) / CURVES),
    }.items():
        console.print(f"{what:{_WIDTH + 1}} {value}")
    if difference > 1e-5:
        raise RuntimeError("The exported model does not compute what the classifier computes; export it again.")


def _probabilities(runtime: Runtime, x: np.ndarray) -> np.ndarray:
    """Probabilities by class, (N, classes); the runtime gives them by rank."""
    ranked = runtime.predict(x, top_k=len(runtime.class_names))
    result = np.empty_like(ranked.probabilities)
    np.put_along_axis(result, ranked.labels, ranked.probabilities, axis=1)
    return result
