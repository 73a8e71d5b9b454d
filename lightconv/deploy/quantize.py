"""Smaller models: INT8 where measurement says that it pays, or float16 weights."""

import contextlib
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from lightconv.deploy.card import card_path, describe, metadata, parse, read_metadata
from lightconv.deploy.compare import VerificationError
from lightconv.deploy.files import ExportError, Staged, publish_pair
from lightconv.deploy.runtime import Classifier, InputError

__all__ = ["PRECISIONS", "QuantizationReport", "own_data", "quantize"]

PRECISIONS = ("int8", "float16")

_CALIBRATION = 512  # samples
_WORTH = 0.97  # a layer stays in float32 if that takes less than this share of the time
_SMALL = 16  # elements: smaller weights stay as they are
_QUANTIZED = [
    "Add",
    "AveragePool",
    "Conv",
    "Flatten",
    "Gemm",
    "GlobalAveragePool",
    "MatMul",
    "MaxPool",
    "Relu",
    "Reshape",
]


@dataclass(frozen=True)
class QuantizationReport:
    """What became of a model.

    Attributes:
        path: the new file.
        precision: "int8" or "float16".
        layers: for each layer with weights, whether it is computed in that precision.
        size_before: bytes.
        size: bytes.
        latency_ratio: time for one sample, on one thread, by that of the model before.
        agreement: share of samples that get the same label as before.
        accuracy_before: share of samples that get their label, None without labels.
        accuracy: the same for the new model.
    """

    path: Path
    precision: str
    layers: dict[str, bool]
    size_before: int
    size: int
    latency_ratio: float
    agreement: float
    accuracy_before: float | None
    accuracy: float | None

    def __str__(self) -> str:
        lines = [
            f"size      {self.size_before:,} -> {self.size:,} bytes ({self.size / self.size_before:.2f})",
            f"latency   {self.latency_ratio:.2f} of before, for one sample on one thread"
            + (", slower than float32" if self.latency_ratio > 1.05 else ""),
            f"labels    {100 * self.agreement:.2f} % as before",
        ]
        if self.accuracy is not None and self.accuracy_before is not None:
            lines.append(f"accuracy  {100 * self.accuracy_before:.2f} % -> {100 * self.accuracy:.2f} %")
        chosen = [name for name, yes in self.layers.items() if yes]
        lines.append(f"{self.precision:9} {len(chosen)} of {len(self.layers)} layers: {', '.join(chosen) or 'none'}")
        return "\n".join(lines)


def quantize(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    samples: Any,
    labels: np.ndarray | None = None,
    *,
    calibration: Any = None,
    precision: str = "int8",
    every_layer: bool = False,
    max_drop: float = 0.005,
    progress: Callable[[str], None] | None = None,
) -> QuantizationReport:
    """Write a smaller version of a classifier that `export_onnx` has written, and its card.

    "int8" rounds weights, one scale a channel, and what flows between the layers, whose ranges are found on at
    most 512 samples of calibration. It begins with all layers and leaves those in float32 that are faster so, as
    a first layer of one channel usually is: each is tried, and timed in turn with the best so far. "float16"
    stores weights in half the bytes; arithmetic stays float32, and so does its speed. Labels and accuracy are
    measured on the samples. The files appear only if the accuracy, or without labels the share of equal labels,
    falls short by no more than `max_drop`; the model says in its metadata what was measured.

    Args:
        source: a classifier's ONNX file, or the name of one that comes with the package.
        output: the file to write; may be `source`.
        samples: at least 2, as arrays or files, as `Classifier.predict` takes them.
        labels: their labels.
        calibration: other samples, on which ranges are found. If there are none, the first half of `samples` takes
            their place, and the second half is what is measured on.
        precision: "int8" or "float16".
        every_layer: "int8" for all layers, for the sake of size, without timing them.
        max_drop: the share of samples whose label may change or become wrong.
        progress: is told what is being tried.

    Raises:
        InputError: (a ValueError) if the model or the samples cannot be used.
        ExportError: (a ValueError) if the file cannot be written.
        VerificationError: (a RuntimeError) if the result is too inaccurate, or no layer is worth it.
    """
    import onnx

    if precision not in PRECISIONS:
        raise InputError(f"Expected `precision` to be one of {', '.join(PRECISIONS)}, but got {precision!r}.")
    if Path(output).suffix != ".onnx":
        raise ExportError(f"Expected the name of an .onnx file to write, but got {output}.")
    before = Classifier(source, threads=1)
    raw = _read(before, samples)
    if len(raw) < 2:
        raise InputError(f"Expected at least 2 samples to calibrate and compare with, but got {len(raw)}.")
    if labels is not None and (np.shape(labels) != (len(raw),) or np.asarray(labels).dtype.kind not in "iu"):
        raise InputError(
            f"Expected `labels` to be {len(raw)} whole numbers, one a sample, but got shape {np.shape(labels)} "
            f"of {np.asarray(labels).dtype}."
        )
    classes = len(before.class_names)
    if labels is not None and (wrong := [label for label in labels if not 0 <= label < classes]):
        raise InputError(f"Expected `labels` from 0 to {classes - 1}, the model's classes, but got {wrong[0]}.")
    half = len(raw) // 2 if calibration is None else 0
    seen = raw[:half] if calibration is None else _read(before, calibration)
    if not len(seen):
        raise InputError("Expected at least 1 sample to calibrate with, but got 0.")
    seen, trial = seen[:: -(-len(seen) // _CALIBRATION)], raw[half:]
    model = onnx.load(before.path)
    facts = read_metadata(model)
    if isinstance(already := facts.get("quantization"), dict):
        raise InputError(f"Expected a float32 model, but {before.path} is {already.get('precision')} already.")
    with Staged(output) as file, Staged(card_path(output)) as card:
        if precision == "int8":
            model, layers = _int8(before, seen, every_layer, progress or (lambda text: None))
        else:
            layers = _float16(model)
        truth = None if labels is None else np.asarray(labels)[half:]
        file.write(model.SerializeToString(deterministic=True))
        after = Classifier(file.temporary, threads=1)
        old, new = before.predict(trial).labels, after.predict(trial).labels
        report = QuantizationReport(
            path=file.path,
            precision=precision,
            layers=layers,
            size_before=before.path.stat().st_size,
            size=0,
            latency_ratio=_latency_ratio(after.session, before.session, trial[:1]),
            agreement=float(np.mean(old == new)),
            accuracy_before=None if truth is None else float(np.mean(old == truth)),
            accuracy=None if truth is None else float(np.mean(new == truth)),
        )
        _check(report, max_drop)
        facts["quantization"] = {
            "precision": precision,
            "samples": len(trial),
            "agreement": report.agreement,
            "accuracy_before": report.accuracy_before,
            "accuracy": report.accuracy,
            "layers": [name for name, yes in layers.items() if yes],
        }
        del model.metadata_props[:]
        for key, value in sorted(metadata(facts).items()):
            model.metadata_props.add(key=key, value=value)
        content = model.SerializeToString(deterministic=True)
        file.write(content)
        card.write(describe(content, file.path.name, latency_ratio=round(report.latency_ratio, 3)).encode())
        publish_pair(file, card)
    return QuantizationReport(**{**vars(report), "size": len(content)})


def own_data(
    model: str | os.PathLike[str], root: str | os.PathLike[str] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The data that a model's metadata name: its training samples, and samples and labels of its test set.

    Args:
        model: a classifier's ONNX file, or the name of one that comes with the package.
        root: folder of the data, as in the data modules.

    Raises:
        InputError: (a ValueError) if it names none of ours.
    """
    from lightconv.data import MNIST1DData, MNIST100Data, MNISTData

    classifier = Classifier(model)
    provenance = parse(classifier.metadata.get("provenance", "{}"))
    facts = provenance.get("data") if isinstance(provenance, dict) else None
    kinds: dict[str, Any] = {kind.__name__: kind for kind in (MNIST1DData, MNISTData, MNIST100Data)}
    kind = kinds.get(str(facts.get("name"))) if isinstance(facts, dict) else None
    if not isinstance(facts, dict) or kind is None or "variant" not in facts:
        raise InputError(f"Expected {classifier.path} to name the data that it was trained on; pass samples of yours.")
    found = kind(root, variant=facts["variant"])
    (training, _), (test, labels) = found.part("train"), found.part("test")
    return training.numpy(), test.numpy(), labels.numpy()


def _read(classifier: Classifier, samples: Any) -> np.ndarray:
    """Samples of any kind as one array."""
    return np.concatenate(
        [np.empty((0, *classifier.shape), classifier.dtype), *(p[2] for p in classifier.read(samples))]
    )


def _check(report: QuantizationReport, max_drop: float) -> None:
    if report.agreement < 1 - max_drop and report.accuracy is None:
        raise VerificationError(
            f"Expected at least {100 * (1 - max_drop):.2f} % of the labels to stay, but {100 * report.agreement:.2f} % "
            "do; allow more by max_drop, or use float16."
        )
    if report.accuracy is None or report.accuracy_before is None:
        return
    if report.accuracy < report.accuracy_before - max_drop:
        raise VerificationError(
            f"Expected the accuracy to fall by at most {100 * max_drop:.2f} %, but it falls from "
            f"{100 * report.accuracy_before:.2f} % to {100 * report.accuracy:.2f} %; allow more by max_drop, or "
            "use float16."
        )


# --- INT8 -------------------------------------------------------------------------------------------------------


def _int8(
    before: Classifier, calibration: np.ndarray, every_layer: bool, progress: Callable[[str], None]
) -> tuple[Any, dict[str, bool]]:
    """The quantised model, and which of its layers are: all but those that are faster in float32."""
    import onnx

    layers = [node.name for node in onnx.load(before.path).graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    sample = calibration[:1]
    kept: list[str] = []
    model = _quantized(before, calibration, kept)
    best = _session(model)
    for layer in [] if every_layer else layers:
        candidate = _quantized(before, calibration, [*kept, layer])
        session = _session(candidate)
        ratio = _latency_ratio(session, best, sample)
        faster = ratio < _WORTH
        progress(f"{layer} in float32: {ratio:.2f} of the time, {'kept so' if faster else 'quantised'}")
        if faster:
            model, best = candidate, session
            kept.append(layer)
    if layers == kept:
        raise VerificationError(
            f"Expected a layer that is worth computing in INT8, but all {len(layers)} are faster in float32; "
            "use every_layer or float16 for the sake of size."
        )
    return model, {layer: layer not in kept for layer in layers}


def _quantized(before: Classifier, calibration: np.ndarray, excluded: list[str]) -> Any:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            parts = np.array_split(calibration, -(-len(calibration) // 64))
            self.parts = iter([{before.input_name: part} for part in parts])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.parts, None)

    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        quantize_static(
            str(before.path),
            str(path),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTIZED,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=excluded,
        )
        model = onnx.load(path)
    original = onnx.load(before.path)
    model.producer_name, model.producer_version = original.producer_name, original.producer_version
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)


# --- float16 ----------------------------------------------------------------------------------------------------


def _float16(model: Any) -> dict[str, bool]:
    """Store weights in float16, each with a Cast back, which onnxruntime computes once when it loads the model."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    users = [(node.name, set(node.input)) for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    halved = set()
    casts = []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < _SMALL or np.abs(values).max() > 65504:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [weight.name], [name], f"Cast_{name}", to=TensorProto.FLOAT))
        halved.add(name)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return {name: bool(inputs & halved) for name, inputs in users}


# --- measuring --------------------------------------------------------------------------------------------------


def _session(model: Any) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _latency_ratio(
    session: onnxruntime.InferenceSession, other: onnxruntime.InferenceSession, sample: np.ndarray, rounds: int = 31
) -> float:
    """Median of the ratio of processor times, measured in turn, so that whatever else the machine does hits both."""
    feed = {session.get_inputs()[0].name: sample}

    def seconds(which: onnxruntime.InferenceSession, runs: int) -> float:
        start = time.process_time()
        for _ in range(runs):
            which.run(["probabilities"], feed)
        return time.process_time() - start

    seconds(session, 3)
    runs = max(1, round(0.002 / max(seconds(other, 3) / 3, 1e-7)))
    ratios = []
    for i in range(rounds):
        if i % 2:
            mine, its = seconds(session, runs), seconds(other, runs)
        else:
            its, mine = seconds(other, runs), seconds(session, runs)
        ratios.append(mine / its)
    return statistics.median(ratios)
