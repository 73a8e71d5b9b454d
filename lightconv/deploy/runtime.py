"""Classify signals and pictures with an exported model: NumPy and onnxruntime, nothing else.

This file imports nothing of the package, so that it can be copied to a machine without PyTorch.

    from runtime import Classifier

    classifier = Classifier("mnist1d.onnx")
    labels, probabilities = classifier.predict("signals.npy")
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime

__all__ = ["Batch", "Classifier", "InputError", "Prediction", "prepare_picture", "shipped_models"]

ARRAY_FILES = (".npy",)
TEXT_FILES = (".csv", ".txt")
PICTURE_FILES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

_NUMPY_TYPES: dict[str, np.dtype[Any]] = {"tensor(float)": np.dtype(np.float32), "tensor(uint8)": np.dtype(np.uint8)}


class InputError(ValueError):
    """A model, file or array that cannot be used; the message is one sentence."""


class Prediction(NamedTuple):
    """Labels (class numbers, int64) and their probabilities (float32).

    Both have shape (N,), or (N, top_k), most probable first, if more than one label was asked for.
    """

    labels: np.ndarray
    probabilities: np.ndarray


class Batch(NamedTuple):
    """Consecutive results out of one source: `labels` and `probabilities` are (n, top_k)."""

    source: str
    start: int
    labels: np.ndarray
    probabilities: np.ndarray
    note: str


class Classifier:
    """A classifier out of an ONNX file that `lightconv export` wrote.

    Threads may share one Classifier.

    Args:
        path_or_name: an ONNX file, or the name of a model that comes with the package, such as "mnist1d".
        threads: how many threads one call may use; all processors if not given.
        batch_size: how many samples go through the network at once; bounds the memory.

    Attributes:
        class_names: name of each label.
        metadata: what the model says about itself (network, accuracy, version, ...).
        shape: shape of one sample, (40,) for a signal or (28, 28) for a picture.
        dtype: element type of a sample, float32 or uint8.
        input_name: "signal" or "image".
        session: the onnxruntime session.

    Raises:
        InputError: if there is no such file, or it is not a classifier of this kind.
    """

    def __init__(
        self, path_or_name: str | os.PathLike[str], *, threads: int | None = None, batch_size: int = 256
    ) -> None:
        _require_positive("batch_size", batch_size)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        if threads is not None:
            options.intra_op_num_threads = _require_positive("threads", threads)
        self.path = _find_model(path_or_name)
        try:
            session = onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise InputError(
                f"Expected {self.path} to be an ONNX model, but onnxruntime cannot load it: {_reason(error)}."
            ) from error
        self.session = session
        self._batch_size = batch_size
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        inputs, outputs = session.get_inputs(), {output.name: output for output in session.get_outputs()}
        sample = tuple(inputs[0].shape[1:]) if len(inputs) == 1 else ()
        if (
            not {"probabilities", "label"} <= outputs.keys()
            or not sample
            or not all(isinstance(size, int) for size in sample)
            or inputs[0].type not in _NUMPY_TYPES
        ):
            raise InputError(
                f"Expected {self.path} to be a classifier written by `lightconv export` (one input, outputs "
                f"`probabilities` and `label`), but it maps {', '.join(i.name for i in inputs) or 'nothing'} "
                f"to {', '.join(outputs) or 'nothing'}."
            )
        self.shape = sample
        self.input_name: str = inputs[0].name
        self.dtype = _NUMPY_TYPES[inputs[0].type]
        classes = outputs["probabilities"].shape[-1]
        self.class_names = _class_names(self.metadata, classes, self.path)

    def __repr__(self) -> str:
        return f"Classifier({str(self.path)!r}): {self.input_name} {self.shape} to {len(self.class_names)} classes"

    def predict(self, arrays_or_files: Any, top_k: int = 1) -> Prediction:
        """Classify arrays, files, folders, or any nesting and mixture of them.

        Arrays are one sample or many: (40,), (N, 40) or (N, 1, 40) for signals; (H, W), (N, H, W) or
        (N, 1, H, W), of whole numbers from 0 to 255, white on black, for pictures. Files are `.npy`;
        `.csv` or `.txt` with a signal a line (or one number a line); and pictures in the common formats,
        which `prepare_picture` adapts. Of a folder, all such files are taken in the order of their names.

        Raises:
            InputError: for anything else; one sentence says what was expected.
        """
        batches = list(self.stream(arrays_or_files, top_k))
        labels = np.concatenate([np.empty((0, top_k), np.int64), *(batch.labels for batch in batches)])
        chances = np.concatenate([np.empty((0, top_k), np.float32), *(batch.probabilities for batch in batches)])
        return Prediction(labels[:, 0], chances[:, 0]) if top_k == 1 else Prediction(labels, chances)

    def stream(self, arrays_or_files: Any, top_k: int = 1) -> Iterator[Batch]:
        """The same batch by batch, so that input of any length needs the memory of one batch."""
        _require_positive("top_k", top_k)
        if top_k > len(self.class_names):
            raise InputError(
                f"Expected `top_k` to be at most {len(self.class_names)}, the number of classes, but got {top_k}."
            )
        for source, start, samples, note in self.read(arrays_or_files):
            (chances,) = self.session.run(["probabilities"], {self.input_name: samples})
            labels = np.argsort(-chances, axis=1, kind="stable")[:, :top_k]
            yield Batch(source, start, labels, np.take_along_axis(chances, labels, axis=1), note)

    def read(self, source: Any) -> Iterator[tuple[str, int, np.ndarray, str]]:
        """Split sources of every kind into (source, number of the first sample, samples, note)."""
        if isinstance(source, (str, os.PathLike)):
            yield from self._file(Path(source))
        elif hasattr(source, "__array__"):
            yield from self._array(np.asarray(source), "the array")
        elif isinstance(source, Iterable) and not isinstance(source, (bytes, dict)):
            items = list(source) if isinstance(source, (list, tuple)) else source
            if isinstance(items, list) and items and all(isinstance(item, (int, float)) for item in items):
                yield from self._array(np.asarray(items), "the list")
            else:
                for item in items:
                    yield from self.read(item)
        else:
            raise InputError(f"Expected an array, a file or a list of these, but got {source!r:.60}.")

    def _file(self, path: Path) -> Iterator[tuple[str, int, np.ndarray, str]]:
        known = ARRAY_FILES + (TEXT_FILES if len(self.shape) == 1 else PICTURE_FILES)
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in known)
            if not files:
                raise InputError(f"Expected files ({', '.join(known)}) in folder {path}, but there are none.")
            for file in files:
                yield from self._file(file)
            return
        suffix = path.suffix.lower()
        if suffix not in known:
            raise InputError(
                f"Expected a file of {'signals' if len(self.shape) == 1 else 'pictures'} ({', '.join(known)}), "
                f"but got {path}."
            )
        if not path.is_file():
            raise InputError(f"Expected {path} to be a file, but there is none of that name.")
        try:
            if suffix in ARRAY_FILES:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
                if not isinstance(array, np.ndarray):
                    raise ValueError("it holds several arrays")
                yield from self._array(array, str(path))
            elif suffix in TEXT_FILES:
                yield from self._text(path)
            else:
                picture, note = prepare_picture(path, self.shape)
                yield str(path), 0, picture[None], note
        except InputError:
            raise
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"Expected a readable file, but {path} is not: {_reason(error)}.") from error

    def _array(self, array: np.ndarray, source: str) -> Iterator[tuple[str, int, np.ndarray, str]]:
        axes = len(self.shape)
        if array.dtype.kind not in "fiu":
            raise InputError(f"Expected numbers, but {source} has elements of type {array.dtype}.")
        samples = array[None] if array.ndim == axes else array
        if samples.ndim == axes + 2 and samples.shape[1] == 1:
            samples = samples[:, 0]
        if samples.shape[1:] != self.shape or samples.ndim != axes + 1:
            one = ", ".join(map(str, self.shape))
            raise InputError(
                f"Expected {source} to have shape ({one}{',' if axes == 1 else ''}) or (N, {one}), "
                f"but it has {array.shape}."
            )
        for start in range(0, len(samples), self._batch_size):
            part = samples[start : start + self._batch_size]
            yield source, start, self._cast(part, source, start), ""

    def _cast(self, samples: np.ndarray, source: str, start: int) -> np.ndarray:
        if self.dtype == np.uint8:
            if samples.dtype.kind == "f":
                raise InputError(
                    f"Expected pictures as whole numbers from 0 to 255, but {source} has {samples.dtype}; "
                    "scale it to 0 to 255 and convert it to uint8."
                )
            wrong = (samples < 0) | (samples > 255)
            if wrong.any():
                raise InputError(
                    f"Expected pictures as whole numbers from 0 to 255, but {source} holds {samples[wrong][0]}."
                )
        else:
            with np.errstate(over="ignore"):
                samples = samples.astype(self.dtype)
            good = np.isfinite(samples).reshape(len(samples), -1).all(axis=1)
            if not good.all():
                raise InputError(
                    f"Expected finite numbers, but sample {start + int(good.argmin())} of {source} "
                    "holds NaN or infinity."
                )
        return np.ascontiguousarray(samples, self.dtype)

    def _text(self, path: Path) -> Iterator[tuple[str, int, np.ndarray, str]]:
        """A signal a line, or one signal with a number a line; `#` starts a comment, one heading is skipped."""
        (length,) = self.shape
        rows: list[list[float]] = []
        column: list[float] = []
        count = 0
        first = True
        with open(path, encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                words = line.split("#", 1)[0].replace(",", " ").replace(";", " ").split()
                if not words:
                    continue
                heading = first and (not any(map(_is_number, words)) or words == [str(i) for i in range(length)])
                first = False
                if heading:
                    continue
                if not all(map(_is_number, words)):
                    raise InputError(f"Expected numbers, but line {number} of {path} reads {line.strip()!r:.60}.")
                values = [float(word) for word in words]
                if len(values) == 1 and length > 1 and not rows and count == 0:
                    column += values
                elif len(values) != length or column:
                    raise InputError(
                        f"Expected {length} numbers a signal, but line {number} of {path} has {len(values)}."
                    )
                else:
                    rows.append(values)
                if len(rows) == self._batch_size:
                    yield str(path), count, self._cast(np.asarray(rows), str(path), count), ""
                    count += len(rows)
                    rows = []
        if column:
            if len(column) != length:
                raise InputError(f"Expected {length} numbers a signal, but {path} has {len(column)}.")
            rows = [column]
        if rows:
            yield str(path), count, self._cast(np.asarray(rows), str(path), count), ""
        elif count == 0:
            raise InputError(f"Expected signals in {path}, but it holds none.")


def shipped_models() -> dict[str, Path]:
    """The models that come with the package (or lie in `exports/` of its checkout): name to file."""
    here = Path(__file__).resolve().parent
    if here.name != "deploy":
        return {}
    folder = next((f for f in (here.parent / "exports", here.parent.parent / "exports") if f.is_dir()), None)
    return {} if folder is None else {file.stem: file for file in sorted(folder.glob("*.onnx"))}


def _find_model(path_or_name: str | os.PathLike[str]) -> Path:
    path = Path(path_or_name)
    if path.is_file():
        return path
    shipped = shipped_models()
    if str(path_or_name) in shipped:
        return shipped[str(path_or_name)]
    if path.is_dir():
        raise InputError(f"Expected an ONNX file, but {path} is a folder.")
    names = f"; models that come with the package: {', '.join(shipped)}" if shipped else ""
    raise InputError(f"Expected an ONNX file, but there is none named {path}{names}.")


def _class_names(metadata: dict[str, str], classes: object, path: Path) -> tuple[str, ...]:
    text = metadata.get("class_names")
    if text is None and isinstance(classes, int):
        return tuple(map(str, range(classes)))
    try:
        names = json.loads(text or "")
    except ValueError:
        names = None
    if not isinstance(names, list) or not names or (isinstance(classes, int) and len(names) != classes):
        raise InputError(f"Expected {path} to name its {classes} classes in `class_names`, but it has {text!r:.60}.")
    return tuple(map(str, names))


def _require_positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"Expected `{name}` to be a positive whole number, but got {value!r}.")
    return value


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    """The first line of somebody else's message, without the full stop."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    lines = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error).strip()).splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:200]


# --- pictures -----------------------------------------------------------------------------------------------


def prepare_picture(source: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, str]:
    """Make a picture file look like the ones the network was trained on; also say what was done.

    MNIST shows each digit white on black, its longer side 20 of 28 pixels long, its centre of mass in the
    centre (LeCun et al. 1998, section III.A). A file that is so already is taken as it is. In any other the
    background is found at the border, dark ink on light paper is inverted, and the ink is cut out, scaled and
    centred. If the network wants a row of digits (28 x 56), the ink is first divided where it is thinnest.

    Args:
        source: path or file object of a picture that Pillow can read, colour or not; or brightness from 0 to 255
            as an array (height, width).
        shape: (height, width) of the network's input, the width a multiple of the height.

    Returns:
        uint8 array of `shape`, and a phrase such as "dark on light, inverted; 300 x 200 resized", or "".
    """
    gray = _read_gray(source)
    height, width = shape
    digits = max(1, width // height)
    if gray.shape == shape and all(_is_prepared(part) for part in np.split(gray, digits, axis=1)):
        return gray.astype(np.uint8), ""

    border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    paper = float(np.median(border))
    notes = []
    if paper - gray.min() > gray.max() - paper:
        gray, paper = 255 - gray, 255 - paper
        notes.append("dark on light, inverted")
    contrast = gray.max() - paper
    if contrast < 16:
        return np.zeros(shape, np.uint8), "no ink found"
    ink = np.clip((gray - paper) * (255 / contrast), 0, 255)
    ink[ink < NOISE] = 0
    parts = _divide(ink, digits)
    notes.append(f"{gray.shape[1]} x {gray.shape[0]} cut out, scaled and centred")
    return np.concatenate([_centre(part, height, width // digits) for part in parts], axis=1), "; ".join(notes)


NOISE = 40  # of 255: the grain of paper and the ripples of JPEG compression lie below
INK = 64  # of 255: what the outline of a digit is measured at


def _read_gray(source: Any) -> np.ndarray:
    """Brightness 0 to 255, float32; transparent parts become paper of the other brightness than the ink's."""
    if isinstance(source, np.ndarray):
        return source.astype(np.float32)
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise InputError("Expected Pillow for reading picture files; install it: pip install pillow.") from error
    try:
        with Image.open(source) as file:
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith(("I", "F")):
                values = np.asarray(picture, np.float32)
                span = float(values.max() - values.min()) or 1.0
                return (values - values.min()) * (255 / span)
            if picture.mode == "P" or "transparency" in picture.info:
                picture = picture.convert("RGBA")
            gray, alpha = np.moveaxis(np.asarray(picture.convert("LA"), np.float32), -1, 0)
    except Image.DecompressionBombError as error:
        raise InputError(f"Expected a picture of reasonable size, but got {source}: {_reason(error)}.") from error
    opaque = alpha / 255
    if opaque.min() == 1:
        return gray
    brightness = float((gray * opaque).sum() / max(float(opaque.sum()), 1.0))
    return gray * opaque + (255 if brightness < 128 else 0) * (1 - opaque)


def _centre_of_mass(ink: np.ndarray) -> tuple[float, float]:
    total = max(float(ink.sum()), 1e-6)
    rows, columns = ink.sum(axis=1), ink.sum(axis=0)
    return float(rows @ np.arange(rows.size)) / total, float(columns @ np.arange(columns.size)) / total


def _is_prepared(part: np.ndarray) -> bool:
    """White on black with the centre of mass in the centre, or black all over."""
    edge = np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])
    if np.median(edge) > 0:
        return False
    return part.max() == 0 or all(
        abs(centre - size / 2) <= 1 for centre, size in zip(_centre_of_mass(part), part.shape, strict=True)
    )


def _divide(ink: np.ndarray, digits: int) -> list[np.ndarray]:
    """Cut a row of digits apart at the columns with the least ink near the places of equal division."""
    columns = np.flatnonzero((ink > INK).any(axis=0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    cuts = []
    for k in range(1, digits):
        middle, reach = left + (right - left) * k / digits, (right - left) / (4 * digits)
        near = np.arange(int(middle - reach), int(middle + reach) + 1)
        cuts.append(int(min(near, key=lambda x: (float(ink[:, x].sum()), abs(x - middle)))))
    return np.split(ink, cuts, axis=1)


def _centre(ink: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale the ink so that its longer side is 20/28 of the field, and put its centre of mass in the centre."""
    from PIL import Image

    field = np.zeros((height, width), np.uint8)
    mask = ink > INK
    if not mask.any():
        return field
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = min(round(height * 20 / 28) / cut.shape[0], round(width * 20 / 28) / cut.shape[1])
    size = max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))
    small = np.asarray(Image.fromarray(cut).resize(size, Image.Resampling.BILINEAR))
    small = small * (255 / small.max())
    corner = []
    for centre, inner, outer in zip(_centre_of_mass(small), small.shape, field.shape, strict=True):
        corner.append(min(max(round(outer / 2 - centre), 0), outer - inner))
    field[corner[0] : corner[0] + small.shape[0], corner[1] : corner[1] + small.shape[1]] = np.rint(small)
    return field
