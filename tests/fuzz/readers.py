"""What reads files of unknown origin, each with files to begin from and the exceptions by which it may refuse.

A reader holds if, whatever the bytes, it returns or raises one of these: one sentence, never another's traceback.
"""

import atexit
import csv
import gzip
import io
import pickle
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lightconv.data.cache import cached
from lightconv.data.frozen import read_frozen
from lightconv.data.idx import Damaged, IDXFile, read
from lightconv.data.npz import read_npz
from lightconv.deploy.runtime import Classifier, InputError, shipped_models
from lightconv.errors import UsageError
from lightconv.tasks import MNIST1DClassifier
from lightconv.tasks.loading import read_checkpoint
from lightconv.training.configs import check_config, config_folder

ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)
LABELS = IDXFile("labels", (5,), values=10)
OPTIONS = {"model", "data", "seed_everything", "threads"}
DIGIT = np.pad(np.full((20, 4), 255, np.uint8), ((4, 4), (12, 12)))


@dataclass(frozen=True)
class Reader:
    """A reader under test.

    Attributes:
        suffix: the file's name ends so.
        seeds: makes whole files.
        read: reads one.
        refusals: what it may raise.
    """

    suffix: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    refusals: tuple[type[Exception], ...]

    def survives(self, path: Path, content: bytes) -> None:
        """Let it read `content`; anything but a result or a refusal comes through."""
        path.write_bytes(content)
        try:
            self.read(path)
        except self.refusals as refusal:
            if not str(refusal).strip():
                raise AssertionError("a refusal says why") from refusal


def written(write: Callable[..., object], *arguments: Any, **named: Any) -> bytes:
    """What a function writes into a file that is its first argument."""
    file = io.BytesIO()
    write(file, *arguments, **named)
    return file.getvalue()


def idx() -> bytes:
    return bytes([0, 0, 8, 1]) + struct.pack(">I", 5) + bytes([5, 0, 4, 1, 9])


def npz() -> list[bytes]:
    return [written(save, a=ARRAY, b=ARRAY[0]) for save in (np.savez, np.savez_compressed)]


def cache_file() -> list[bytes]:
    path = Path(scratch(), "seed.npz")
    path.unlink(missing_ok=True)
    read_cache(path)
    return [path.read_bytes()]


def read_cache(path: Path) -> None:
    held = cached(path, {"a": (ARRAY.shape, "float32")}, lambda: {"a": ARRAY})
    assert np.array_equal(held["a"], ARRAY), "what is damaged is made again"


def checkpoints() -> list[bytes]:
    content = {
        "provenance": {"task": "mnist1d", "network": "tiny"},
        "hyper_parameters": {"network": "tiny"},
        "state_dict": MNIST1DClassifier("tiny").state_dict(),
    }
    stored = written(lambda file: torch.save(content, file))
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(stored)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return [stored, packed.getvalue()]


def pictures() -> list[bytes]:
    picture = Image.fromarray(DIGIT)
    kinds = {"PNG": "L", "GIF": "P", "BMP": "RGB", "JPEG": "RGB", "TIFF": "I;16", "WEBP": "RGBA"}
    return [written(picture.convert(mode).save, kind) for kind, mode in kinds.items()]


def tables() -> list[bytes]:
    text = io.StringIO()
    csv.writer(text).writerows(np.random.default_rng(0).normal(size=(2, 40)).round(2).tolist())
    return [text.getvalue().encode(), "\n".join(map(str, range(40))).encode()]


@cache
def classifier(name: str) -> Classifier:
    return Classifier(name, threads=1)


@cache
def scratch() -> str:
    folder = tempfile.mkdtemp(prefix="lightconv-fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def classify(name: str) -> Callable[[Path], Any]:
    return lambda path: classifier(name).predict(path)


READERS: dict[str, Reader] = {
    "idx": Reader("-ubyte", lambda: [idx()], lambda path: read(path, LABELS, packed=False), (Damaged,)),
    "idx_gz": Reader(".gz", lambda: [gzip.compress(idx())], lambda path: read(path, LABELS, packed=True), (Damaged,)),
    "npz": Reader(".npz", npz, lambda path: read_npz(path, ["a", "b"], 1 << 20), (Damaged,)),
    "pickle": Reader(
        ".pkl",
        lambda: [pickle.dumps({"x": ARRAY, "y": [np.arange(3)]}, protocol) for protocol in (2, 3, 4)],
        lambda path: read_frozen(path, 1 << 20),
        (Damaged,),
    ),
    "cache": Reader(".npz", cache_file, read_cache, ()),
    "checkpoint": Reader(".ckpt", checkpoints, read_checkpoint, (UsageError,)),
    "config": Reader(
        ".yaml",
        lambda: [(config_folder() / name).read_bytes() for name in ("mnist1d.yaml", "mnist100_v1.yaml")],
        lambda path: check_config(path, {"trainer"}, OPTIONS),
        (UsageError,),
    ),
    "model": Reader(
        ".onnx",
        lambda: [shipped_models()["mnist1d"].read_bytes()],
        lambda path: Classifier(path, threads=1),
        (InputError,),
    ),
    "table": Reader(".csv", tables, classify("mnist1d"), (InputError,)),
    "array": Reader(
        ".npy",
        lambda: [written(np.save, np.zeros((2, 40), kind)) for kind in ("f4", "f8", "i2")],
        classify("mnist1d"),
        (InputError,),
    ),
}
if "mnist" in shipped_models():
    READERS["picture"] = Reader(".png", pictures, classify("mnist"), (InputError,))
