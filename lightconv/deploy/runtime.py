"""Classify signals and pictures with an exported model: NumPy and onnxruntime, nothing else.

This file imports nothing of the package, so that it can be copied to a machine without PyTorch.

    from runtime import Classifier

    classifier = Classifier("mnist1d.onnx")
    labels, probabilities = classifier.predict("signals.npy")
"""

import json
import os
import re
import struct
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime

__all__ = ["Batch", "Classifier", "InputError", "Prediction", "place_ink", "prepare_picture", "shipped_models"]

ARRAY_FILES = (".npy",)
TEXT_FILES = (".csv", ".txt")
PICTURE_FILES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
PICTURE_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # of all others Pillow knows some that are programs
LINE = 1 << 20  # characters
CLASSES = 1 << 20  # more are not numbered by themselves

NOWHERE = os.path.join(os.devnull, "nowhere")

# what NumPy and Pillow raise for damaged files
UNREADABLE = (
    *(OSError, ValueError, EOFError, SyntaxError, TypeError, KeyError, IndexError, OverflowError, MemoryError),
    *(RecursionError, struct.error, tokenize.TokenError),
)
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
        # one file is the whole model: weights in others are looked for where there are none
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", NOWHERE)
        try:
            content = self.path.read_bytes()
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
            inputs = [(node.name, node.type, tuple(node.shape)) for node in session.get_inputs()]
            outputs = {node.name: tuple(node.shape) for node in session.get_outputs()}
        except Exception as error:
            if "xternal data" in str(error):
                raise InputError(
                    f"Expected {self.path} to hold its weights, but it keeps them in another file (external data); "
                    "save it as one file."
                ) from error
            raise InputError(
                f"Expected {self.path} to be an ONNX model, but onnxruntime cannot load it: {reason_of(error)}."
            ) from error
        self.session = session
        self._batch_size = batch_size
        name, kind, shape = inputs[0] if len(inputs) == 1 else ("", "", ())
        sample = shape[1:]
        if (
            not {"probabilities", "label"} <= outputs.keys()
            or not sample
            or not all(isinstance(size, int) for size in sample)
            or kind not in _NUMPY_TYPES
            or not outputs["probabilities"]
        ):
            raise InputError(
                f"Expected {self.path} to be a classifier written by `lightconv export` (one input, outputs "
                f"`probabilities` and `label`), but it maps {', '.join(each for each, *_ in inputs) or 'nothing'} "
                f"to {', '.join(outputs) or 'nothing'}."
            )
        self.shape = sample
        self.input_name: str = name
        self.dtype = _NUMPY_TYPES[kind]
        classes = outputs["probabilities"][-1]
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
            try:
                (chances,) = self.session.run(["probabilities"], {self.input_name: samples})
            except Exception as error:
                raise InputError(f"Expected {self.path} to run, but onnxruntime fails: {reason_of(error)}.") from error
            if chances.shape != (len(samples), len(self.class_names)):
                raise InputError(
                    f"Expected {self.path} to give {len(samples)} x {len(self.class_names)} probabilities, but it "
                    f"gives {' x '.join(map(str, chances.shape))}."
                )
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

    def files(self, path: str | os.PathLike[str]) -> list[Path]:
        """The file itself, or what is read of a folder: all files of the right kinds in the order of their names.

        Raises:
            InputError: if the folder holds none.
        """
        path = Path(path)
        if not os.path.isdir(path):
            return [path]
        kinds = self._kinds()
        try:
            files = sorted(f for f in path.iterdir() if f.suffix.lower() in kinds and not f.name.startswith("."))
        except OSError as error:
            raise InputError(f"Expected a folder that can be read, but {path} is not: {reason_of(error)}.") from error
        if not files:
            raise InputError(f"Expected files ({', '.join(kinds)}) in folder {path}, but there are none.")
        return files

    def _kinds(self) -> tuple[str, ...]:
        return ARRAY_FILES + (TEXT_FILES if len(self.shape) == 1 else PICTURE_FILES)

    def _file(self, path: Path) -> Iterator[tuple[str, int, np.ndarray, str]]:
        known = self._kinds()
        if os.path.isdir(path):
            for file in self.files(path):
                yield from self._file(file)
            return
        suffix = path.suffix.lower()
        if suffix not in known:
            raise InputError(
                f"Expected a file of {'signals' if len(self.shape) == 1 else 'pictures'} ({', '.join(known)}), "
                f"but got {path}."
            )
        if not os.path.isfile(path):
            raise InputError(f"Expected {path} to be a file, but there is none of that name that can be read.")
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
        except UNREADABLE as error:
            raise InputError(f"Expected a readable file, but {path} is not: {reason_of(error)}.") from error

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
        """A signal a line, or one signal with a number a line."""
        (length,) = self.shape
        rows: list[list[float]] = []
        column: list[float] = []
        count = 0
        for number, values in _lines_of_numbers(path, length):
            if len(values) == 1 and length > 1 and not rows and count == 0:
                column += values
                if len(column) > length:
                    raise InputError(f"Expected {length} numbers a signal, but {path} has {len(column)} or more.")
            elif len(values) != length or column:
                raise InputError(f"Expected {length} numbers a signal, but line {number} of {path} has {len(values)}.")
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
    if os.path.isfile(path):  # which, unlike Path's, has an answer for folders that are closed
        return path
    shipped = shipped_models()
    if str(path_or_name) in shipped:
        return shipped[str(path_or_name)]
    if os.path.isdir(path):
        raise InputError(f"Expected an ONNX file, but {path} is a folder.")
    names = f"; models that come with the package: {', '.join(shipped)}" if shipped else ""
    raise InputError(f"Expected an ONNX file, but there is none named {path}{names}.")


def _class_names(metadata: dict[str, str], classes: object, path: Path) -> tuple[str, ...]:
    text = metadata.get("class_names")
    if text is None and isinstance(classes, int) and classes <= CLASSES:
        return tuple(map(str, range(classes)))
    try:
        names = json.loads(text or "")
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not names or (isinstance(classes, int) and len(names) != classes):
        raise InputError(f"Expected {path} to name its {classes} classes in `class_names`, but it has {text!r:.60}.")
    return tuple(map(str, names))


def _require_positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"Expected `{name}` to be a positive whole number, but got {value!r}.")
    return value


def _lines_of_numbers(path: Path, length: int) -> Iterator[tuple[int, list[float]]]:
    """The numbers of each line that has some, and which line it is; `#` starts a comment, one heading is skipped."""
    first = True
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(iter(lambda: file.readline(LINE + 1), ""), 1):
            if len(line) > LINE:
                raise InputError(f"Expected {length} numbers a signal, but line {number} of {path} has no end.")
            words = _words(line.split("#", 1)[0])
            if not words:
                continue
            heading = first and (not any(map(_is_number, words)) or words == [str(i) for i in range(length)])
            first = False
            if heading:
                continue
            if not all(map(_is_number, words)):
                raise InputError(f"Expected numbers, but line {number} of {path} reads {line.strip()!r:.60}.")
            yield number, [float(word) for word in words]


def _words(line: str) -> list[str]:
    """Between semicolons a comma is a decimal one, as spreadsheets write it in much of Europe."""
    return line.replace('"', "").replace(",", "." if ";" in line else " ").replace(";", " ").split()


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def reason_of(error: Exception) -> str:
    """The first line of somebody else's message, without the full stop."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    lines = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error).strip()).splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:200]


# --- pictures -----------------------------------------------------------------------------------------------

DARK = "dark on light, inverted"

PIXELS = 80_000_000  # more in a file are refused
SIDE = 1024  # pixels of the longer side: larger pictures are reduced first
FAINT = 16  # of 255: less contrast is no ink
NOISE = 40  # of 255, of the ink's contrast: the ripples of JPEG compression lie below
INK = 64  # of 255: what the outline of a digit is measured at
SPECK = 0.05  # of the largest patch of ink: smaller ones are dirt
PIECE = 0.25  # of a digit's share of the ink: of 20,000 digits of MNIST none falls into two such pieces
PEN = 2.0  # pixels of 28: thinner strokes are made as thick


def prepare_picture(source: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, str]:
    """Make a picture file look like the ones the network was trained on; also say what was done.

    MNIST shows each digit white on black, its longer side 20 of 28 pixels long, its centre of mass in the
    centre (LeCun et al. 1998, section III.A). A file that is so already is taken as it is, inverted if it is dark
    on light. In any other the paper is found, lit evenly or not; what differs from it is ink; specks are left
    out; the ink is cut out, made thicker if it is thinner than a pen's, scaled and centred. If the network wants
    a row of digits (28 x 56), the ink is first divided at the widest gap, or where it is thinnest.

    Args:
        source: path or file object of a picture that Pillow can read, coloured or not; or brightness from 0 to 255
            as an array (height, width).
        shape: (height, width) of the network's input, the width a multiple of the height.

    Returns:
        uint8 array of `shape`, and a phrase such as "dark on light, inverted; 300 x 200 cut out, scaled and
        centred", or ""; it also says if there are more pieces of ink side by side than digits wanted.

    Raises:
        InputError: if the picture has more than 80 million pixels, or Pillow is not installed.
    """
    gray, size, notes = _read_gray(source)
    height, width = shape
    digits = max(1, width // height)
    if gray.shape == shape:
        for picture, inverted in ((gray, []), (255 - gray, [DARK])):
            if picture.any() and all(_is_prepared(part) for part in np.split(picture, digits, axis=1)):
                return np.rint(picture).astype(np.uint8), "; ".join(notes + inverted)
    ink, dark = _find_ink(gray)
    ink = _without_specks(ink)
    if not ink.any():
        return np.zeros(shape, np.uint8), "; ".join([*notes, "no ink found"])
    notes += [DARK] * dark + [f"{size[0]} x {size[1]} cut out, scaled and centred"]
    if (pieces := _pieces(ink, PIECE / digits)) > digits:
        notes.append(f"{pieces} pieces of ink side by side, taken for {digits} digit{'s' * (digits > 1)}")
    return place_ink(ink, shape), "; ".join(notes)


def place_ink(ink: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The last step of `prepare_picture`, for ink that needs no finding: cut out, divide, scale and centre.

    Args:
        ink: float32 (height, width), 0 for paper to 255 for ink, with some ink in it.
        shape: (height, width) of the network's input, the width a multiple of the height.

    Returns:
        uint8 array of `shape`.
    """
    height, width = shape
    digits = max(1, width // height)
    return np.concatenate([_centre(part, height, width // digits) for part in _divide(ink, digits)], axis=1)


def _read_gray(source: Any) -> tuple[np.ndarray, tuple[int, int], list[str]]:
    """Brightness 0 to 255, float32, the longer side at most SIDE pixels; the size of the whole picture; remarks."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise InputError("Expected Pillow for reading pictures; install it: pip install pillow.") from error
    if isinstance(source, np.ndarray):
        picture = Image.fromarray(source.astype(np.float32))
        return np.asarray(picture.reduce(-(-max(picture.size) // SIDE))), picture.size, []
    try:
        with Image.open(source, formats=PICTURE_FORMATS) as file:
            if file.width * file.height > PIXELS:
                raise InputError(
                    f"Expected a picture of at most {PIXELS:,} pixels, but {source} has {file.width} x {file.height}."
                )
            turned = file.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
            size = (file.height, file.width) if turned else (file.width, file.height)
            file.draft(None, (SIDE, SIDE))  # a JPEG file can be read at a fraction of its size
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith(("I", "F")):  # more than 8 bits
                values = np.nan_to_num(np.asarray(picture, np.float32))
                span = float(values.max() - values.min()) or 1.0
                picture = Image.fromarray((values - values.min()) * (255 / span))
            elif picture.mode not in ("L", "RGB") or "transparency" in picture.info:
                picture = picture.convert("RGBA")
            picture = picture.reduce(-(-max(picture.size) // SIDE))
            # cameras put previews into a JPEG file; pages and animations are others' work
            several = file.format != "MPO" and getattr(file, "is_animated", False)
            return _brightness(np.asarray(picture, np.float32)), size, ["the first of several pictures"] * several
    except Image.DecompressionBombError as error:
        raise InputError(f"Expected a picture of at most {PIXELS:,} pixels, but {source} has more.") from error


ORIENTATION = 0x0112  # the EXIF tag


def _brightness(picture: np.ndarray) -> np.ndarray:
    """One value a pixel: of brightness, red, green and blue the one that varies most.

    Transparent parts become paper of the other brightness than the ink's.
    """
    if picture.ndim == 2:
        return picture
    colours = picture[..., :3]
    gray = colours @ np.array([0.299, 0.587, 0.114], np.float32)
    if picture.shape[-1] == 4 and picture[..., 3].min() < 255:
        opaque = picture[..., 3] / 255
        light = float((gray * opaque).sum()) >= 128 * max(float(opaque.sum()), 1.0)
        paper = (0 if light else 255) * (1 - opaque)
        gray = gray * opaque + paper
        colours = colours * opaque[..., None] + paper[..., None]
    return max([gray, *np.moveaxis(colours, -1, 0)], key=np.std)


def _is_prepared(part: np.ndarray) -> bool:
    """White on black, the longer side some 20 of 28 pixels, the centre of mass in the centre; or black all over."""
    if np.median(np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])) > 0:
        return False
    if part.max() == 0:
        return True
    sides = [np.flatnonzero((part > INK).any(axis=axis)) for axis in (0, 1)]
    longer = max((side[-1] - side[0] + 1 for side in sides if len(side)), default=0)
    return 17 <= longer * 28 / len(part) <= 23 and all(
        abs(centre - size / 2) <= 1 for centre, size in zip(_centre_of_mass(part), part.shape, strict=True)
    )


def _centre_of_mass(ink: np.ndarray) -> tuple[float, float]:
    total = max(float(ink.sum()), 1e-6)
    rows, columns = ink.sum(axis=1), ink.sum(axis=0)
    return float(rows @ np.arange(rows.size)) / total, float(columns @ np.arange(columns.size)) / total


def _find_ink(gray: np.ndarray) -> tuple[np.ndarray, bool]:
    """How much each pixel differs from the paper, 0 to 255, and whether the ink is the darker of the two."""
    paper, grain = _paper(gray)
    ink = gray - paper
    dark = bool((ink**3).sum() < 0)
    if dark:
        ink = -ink
    strong = ink[ink > max(FAINT, 5 * grain)]
    if not strong.size:
        return np.zeros_like(ink), dark
    contrast = float(np.percentile(strong, 90))
    ink = np.clip(ink * (255 / contrast), 0, 255)
    ink[ink < max(NOISE, 255 * 3 * grain / contrast)] = 0
    return ink, dark


def _paper(gray: np.ndarray) -> tuple[np.ndarray, float]:
    """The brightness of the paper under each pixel, and the standard deviation of its grain.

    A surface that is bent as unevenly lit paper is: a polynomial of degree two. It begins as the plane through most
    of the border, and is then fitted to that third of all pixels that lies nearest to it, again and again.
    """
    step = -(-max(gray.shape) // 128)
    basis = _polynomial(gray.shape)
    sampled, some = basis[:, ::step, ::step], gray[::step, ::step]
    edge = np.ones(some.shape, bool)
    edge[1:-1, 1:-1] = False
    surface = np.full(some.shape, np.median(some[edge]), np.float32)
    for where, terms in [(edge, 3)] * 5 + [(np.ones(some.shape, bool), 6)] * 15:
        distance = np.abs(some - surface)
        limit = np.quantile(distance[where], 1 / 2 if terms == 3 else 1 / 3)
        near = where & (distance <= limit)
        weights = np.linalg.lstsq(sampled[:terms, near].T, some[near], rcond=1e-4)[0]
        surface = np.tensordot(weights, sampled[:terms], 1)
    nearest = np.sort(np.abs(some - surface), axis=None)[: some.size // 3 + 1]
    grain = float(np.median(nearest)) / 0.21  # a sixth of all normal deviates lie below 0.21
    return np.tensordot(weights, basis, 1), grain


def _polynomial(shape: tuple[int, ...]) -> np.ndarray:
    """1, y, x, y^2, xy, x^2 at each pixel, float32 (6, H, W); y and x run from -1 to 1."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    return np.stack([np.ones_like(x), y, x, y * y, x * y, x * x])


def _without_specks(ink: np.ndarray) -> np.ndarray:
    """Patches of ink (connected, diagonally too) that hold little beside the largest are erased."""
    runs: list[tuple[int, int, int]] = []  # row, first column, end
    patch: list[int] = []  # for each run, another run of its patch; the first one names itself

    def root(i: int) -> int:
        while patch[i] != i:
            patch[i] = patch[patch[i]]
            i = patch[i]
        return i

    above = range(0)
    for row, inked in enumerate(ink > 0):
        turns = np.flatnonzero(np.diff(inked, prepend=False, append=False)).tolist()
        here = range(len(runs), len(runs) + len(turns) // 2)
        for start, end in zip(turns[::2], turns[1::2], strict=True):
            patch.append(len(runs))
            for i in above:
                if runs[i][1] <= end and start <= runs[i][2]:
                    patch[root(len(runs))] = root(i)
            runs.append((row, start, end))
        above = here
    masses = np.zeros(len(runs))
    for i, (row, start, end) in enumerate(runs):
        masses[root(i)] += ink[row, start:end].sum()
    clean = ink.copy()
    for i, (row, start, end) in enumerate(runs):
        if masses[root(i)] < SPECK * masses.max():
            clean[row, start:end] = 0
    return clean


def _pieces(ink: np.ndarray, least: float) -> int:
    """How many pieces lie side by side with a gap between them, each with at least this share of the ink."""
    columns = np.flatnonzero((ink > INK).any(axis=0))
    gaps = columns[1:][np.diff(columns) > 1]
    masses = np.array([piece.sum() for piece in np.split(ink, gaps, axis=1)])
    return int(np.count_nonzero(masses >= least * masses.sum()))


def _divide(ink: np.ndarray, digits: int) -> list[np.ndarray]:
    """Cut a row of digits apart: in the widest gaps, else at the thinnest columns near the places of equal division."""
    columns = np.flatnonzero((ink > INK).any(axis=0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    steps = np.diff(columns)
    widest = sorted(np.argsort(-steps, kind="stable")[: digits - 1].tolist())
    if len(widest) == digits - 1 and all(steps[i] > 1 for i in widest):
        cuts = [int(columns[i] + columns[i + 1] + 1) // 2 for i in widest]
    else:
        cuts = []
        for k in range(1, digits):
            middle, reach = left + (right - left) * k / digits, (right - left) / (4 * digits)
            near = np.arange(int(middle - reach), int(middle + reach) + 1)
            cuts.append(int(min(near, key=lambda x: (float(ink[:, x].sum()), abs(x - middle)))))
    return np.split(ink, cuts, axis=1)


def _centre(ink: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale the ink so that its longer side is 20/28 of the field, and put its centre of mass in the centre."""
    field = np.zeros((height, width), np.uint8)
    mask = ink > INK
    if not mask.any():
        return field
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    small = _scaled(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], height * 20 / 28, width * 20 / 28)
    corner = []
    for centre, inner, outer in zip(_centre_of_mass(small), small.shape, field.shape, strict=True):
        corner.append(min(max(round(outer / 2 - centre), 0), outer - inner))
    field[corner[0] : corner[0] + small.shape[0], corner[1] : corner[1] + small.shape[1]] = np.rint(small)
    return field


def _scaled(ink: np.ndarray, height: float, width: float) -> np.ndarray:
    """Ink scaled into height x width, in two steps: between them thin strokes are made thicker."""
    from PIL import Image, ImageFilter

    def resize(picture: Any, times: int) -> Any:
        scale = times * min(height / picture.size[1], width / picture.size[0])
        size = max(1, round(picture.size[0] * scale)), max(1, round(picture.size[1] * scale))
        return picture.resize(size, Image.Resampling.BILINEAR)

    large = resize(Image.fromarray(ink), 4)
    solid = np.pad(np.asarray(large) > INK, 1)
    outline = sum(int(np.count_nonzero(np.diff(solid, axis=axis))) for axis in (0, 1)) * np.pi / 4
    missing = 4 * PEN * height / 20 - 2 * int(solid.sum()) / outline
    if missing > 1:
        pad = round(missing / 2)
        framed = np.pad(np.asarray(large), pad)
        large = Image.fromarray(framed.astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * pad + 1))
    small = np.asarray(resize(large, 1), np.float32)
    return small * (255 / small.max())
