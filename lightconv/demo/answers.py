"""What the page asks, and what it is told: all in numbers and strings that JSON can carry."""

import base64
import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lightconv.demo.inside import Inside
from lightconv.demo.strokes import count, picture
from lightconv.deploy.runtime import Classifier, shipped_models
from lightconv.errors import UsageError

__all__ = ["Answers"]

KINDS = {(28, 28): "one", (28, 56): "two", (40,): "signal"}
SHIPPED = ("mnist", "mnist100", "mnist1d")

MOST_STROKES = 200
MOST_POINTS = 4_000  # sixteen heights of the canvas, as the page sends them
FARTHEST = 100.0  # heights of the canvas


class Answers:
    """The models, and their answers to drawings and signals. Threads may share it.

    Args:
        models: ONNX files, or names of shipped models; all shipped ones if none is given. A model's input says what
            it is for: 28 x 28 pictures of one digit, 28 x 56 of two, or signals of 40 samples.

    Raises:
        UsageError: if a model is of none of these kinds, or there is none.
        InputError: if a model cannot be loaded.
    """

    def __init__(self, models: Sequence[str] = ()) -> None:
        names = list(models) or [name for name in SHIPPED if name in shipped_models()]
        if not names:
            raise UsageError("Expected a model, but none comes with this package; name an ONNX file.")
        self._readers: dict[str, _Reader] = {}
        for name in names:
            reader = _Reader(name)
            kind = KINDS.get(reader.classifier.shape)
            if kind is None:
                shape = " x ".join(map(str, reader.classifier.shape))
                raise UsageError(
                    f"Expected a model of pictures (28 x 28 or 28 x 56) or of signals (40), but {name} takes {shape}."
                )
            if kind in self._readers:
                raise UsageError(
                    f"Expected one model of each kind, but {self._readers[kind].classifier.path} and {name} "
                    "take the same input."
                )
            self._readers[kind] = reader

    def models(self, _request: Any = None) -> dict[str, Any]:
        """What there is to know of each model, by kind: "one", "two" and "signal"."""
        return {kind: reader.describe() for kind, reader in self._readers.items()}

    def drawing(self, request: Any) -> dict[str, Any]:
        """Read strokes: `{"strokes": [[[x, y], ...], ...], "digits": 0, 1 or 2}`, in heights of the canvas.

        Raises:
            UsageError: if the request is not of this form, or there is no model for it.
        """
        fields = _fields(request, "strokes", "digits")
        strokes, digits = _strokes(fields["strokes"]), fields["digits"]
        if isinstance(digits, bool) or digits not in (0, 1, 2):
            raise UsageError(f"Expected `digits` to be 0, 1 or 2, but got {digits!r:.60}.")
        kinds = ["one" if digits == 1 else "two"] if digits else self._fitting(strokes)
        answers = [
            {"kind": kind, **self._reader(kind).read(picture(strokes, 1 if kind == "one" else 2))} for kind in kinds
        ]
        return max(answers, key=lambda answer: max(answer.get("probabilities", [0])))

    def signal(self, request: Any) -> dict[str, Any]:
        """Read a signal: `{"signal": [40 numbers]}`.

        Raises:
            UsageError: if the request is not of this form, or there is no model for it.
        """
        values = _fields(request, "signal")["signal"]
        if not isinstance(values, list) or len(values) != 40 or not all(map(_is_number, values)):
            raise UsageError("Expected `signal` to be a list of 40 finite numbers.")
        return {"kind": "signal", **self._reader("signal").read(np.asarray(values, np.float32))}

    def _fitting(self, strokes: Sequence[np.ndarray]) -> list[str]:
        """The networks to ask: where it is unclear how many digits there are, the surer of both is believed."""
        there: list[str] = [kind for kind in ("one", "two") if kind in self._readers]
        if len(there) < 2:
            return there or ["one"]
        digits = count(strokes)
        return there[digits - 1 : digits] if digits else there

    def _reader(self, kind: str) -> "_Reader":
        if kind not in self._readers:
            what = {"one": "pictures of one digit", "two": "pictures of two digits", "signal": "signals"}[kind]
            raise UsageError(f"Expected a model of {what}, but none is loaded.")
        return self._readers[kind]


class _Reader:
    """One model: its answer comes from the file as it is, the views inside from a session with more outputs."""

    def __init__(self, model: str | Path) -> None:
        self.classifier = Classifier(model, threads=1)
        self._inside = Inside(self.classifier.path)
        self._times: list[float] = []
        self._lock = threading.Lock()
        self.read(np.ones(self.classifier.shape, self.classifier.dtype))  # the first run is slow
        self._times.clear()

    def describe(self) -> dict[str, Any]:
        """The file, its card, and its graph."""
        path, metadata = self.classifier.path, self.classifier.metadata
        return {
            "name": path.stem,
            "file": path.name,
            "bytes": path.stat().st_size,
            "opset": self._inside.opset,
            "classes": self.classifier.class_names,
            "network": metadata.get("network"),
            "parameters": metadata.get("parameters"),
            "scores": _json(metadata.get("scores")),
            "provenance": _json(metadata.get("provenance")),
            "version": metadata.get("lightconv_version"),
            "input": {
                "name": self.classifier.input_name,
                "type": str(self.classifier.dtype),
                "shape": self.classifier.shape,
            },
            "nodes": self._inside.nodes(),
        }

    def read(self, sample: np.ndarray) -> dict[str, Any]:
        """Probabilities, the sample as the network sees it, and its maps; `blank` if there is nothing to read."""
        if sample.dtype == np.uint8 and not sample.any():
            return {"blank": True}
        start = time.perf_counter()
        (probabilities,) = self.classifier.session.run(["probabilities"], {self.classifier.input_name: sample[None]})
        milliseconds = self._typical((time.perf_counter() - start) * 1000)
        label = int(probabilities[0].argmax())
        return {
            "blank": False,
            "label": label,
            "name": self.classifier.class_names[label],
            "probabilities": [round(float(p), 6) for p in probabilities[0]],
            "milliseconds": milliseconds,
            "picture": _bytes(sample, 255.0) if sample.dtype == np.uint8 else None,
            "maps": [_bytes(array) for array in self._inside.maps(sample)],
        }

    def _typical(self, milliseconds: float) -> float:
        """The middle of the last times: one alone is mostly noise."""
        with self._lock:
            self._times = [*self._times[-20:], milliseconds]
            return round(sorted(self._times)[len(self._times) // 2], 3)


def _bytes(array: np.ndarray, largest: float | None = None) -> dict[str, Any]:
    """An array as one byte a value: 0 stands for its smallest value (or 0, if none is below), 255 for its largest."""
    low = min(0.0, float(array.min()))
    high = max(float(array.max()), 1e-6) if largest is None else largest
    scaled = np.rint((array.astype(np.float32) - low) * (255 / (high - low))).astype(np.uint8)
    data = base64.b64encode(scaled.tobytes()).decode("ascii")
    return {"shape": array.shape, "smallest": round(low, 3), "largest": round(high, 3), "data": data}


def _fields(request: Any, *names: str) -> dict[str, Any]:
    if not isinstance(request, dict) or set(request) != set(names):
        raise UsageError(f"Expected a JSON object with {' and '.join(names)} and nothing else.")
    return request


def _strokes(value: Any) -> list[np.ndarray]:
    if not isinstance(value, list) or not all(isinstance(stroke, list) and stroke for stroke in value):
        raise UsageError("Expected `strokes` to be a list of lists of points.")
    if len(value) > MOST_STROKES or sum(map(len, value)) > MOST_POINTS:
        raise UsageError(f"Expected at most {MOST_STROKES} strokes of {MOST_POINTS:,} points in all.")
    for stroke in value:
        for point in stroke:
            if not isinstance(point, list) or len(point) != 2 or not all(map(_is_number, point)):
                raise UsageError("Expected each point to be a list of two finite numbers.")
            if max(map(abs, point)) > FARTHEST:
                raise UsageError(f"Expected points near the canvas, which is 1 high, but got {point}.")
    return [np.asarray(stroke, np.float64) for stroke in value]


def _is_number(value: Any) -> bool:
    """A number that float32 can hold; no comparison is true of NaN."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e38


def _json(text: str | None) -> Any:
    """A piece of metadata; models that others wrote may hold anything there."""
    try:
        return json.loads(text, parse_constant=lambda name: None) if text else None
    except (ValueError, RecursionError):
        return None
