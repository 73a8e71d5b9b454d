"""The IDX format of MNIST's files: a magic number, the sizes of the axes, the values."""

import gzip
import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

UINT8 = 0x08


class Damaged(ValueError):
    """A file does not hold what it should; the message says in what it differs."""


@dataclass(frozen=True)
class IDXFile:
    """What an IDX file of bytes must be.

    Attributes:
        name: of the unpacked file; the packed one has ``.gz`` after it.
        shape: of the array in it.
        md5: of the unpacked file, where it is known.
        packed_md5: of the packed file as it is published, where it is known.
        values: how many different values there may be, counted from 0.
    """

    name: str
    shape: tuple[int, ...]
    md5: str | None = None
    packed_md5: str | None = None
    values: int = 256

    @property
    def size(self) -> int:
        """Bytes of the unpacked file."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)

    @property
    def limit(self) -> int:
        """Bytes that the file may have, packed or not: what cannot be compressed grows a little."""
        return self.size + self.size // 8 + 1024


def read(path: Path, expected: IDXFile, packed: bool) -> np.ndarray:
    """The array in an IDX file, packed with gzip or not, after checking size, magic number, axes, MD5 and values.

    No more than the expected size is ever unpacked.

    Raises:
        Damaged: if the file is not what is expected.
        OSError: if it is absent or cannot be read.
    """
    size = path.stat().st_size
    if not 0 < size <= expected.limit:
        raise Damaged(f"it has {size:,} bytes")
    content = path.read_bytes()
    if packed and expected.md5 is None and expected.packed_md5 is not None:
        _check_md5(content, expected.packed_md5)
    if packed:
        content = _unpack(path, expected.size)
    array = decode(content, expected)
    if expected.md5 is not None:
        _check_md5(content, expected.md5)
    if array.size and array.max() >= expected.values:
        raise Damaged(f"it holds the value {array.max()}, which is not below {expected.values}")
    return array


def decode(content: bytes, expected: IDXFile) -> np.ndarray:
    """The array in the bytes of an unpacked file.

    Raises:
        Damaged: if size, magic number or axes differ from what is expected.

    >>> decode(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]), IDXFile("labels", (3,)))
    array([5, 0, 4], dtype=uint8)
    """
    axes = len(expected.shape)
    magic = bytes((0, 0, UINT8, axes))
    if content[:4] != magic:
        raise Damaged(f"its magic number is {content[:4].hex() or 'missing'} instead of {magic.hex()}")
    if len(content) != expected.size:
        raise Damaged(f"it has {len(content):,} bytes unpacked instead of {expected.size:,}")
    start = 4 + 4 * axes
    shape = struct.unpack(f">{axes}I", content[4:start])
    if shape != expected.shape:
        raise Damaged(f"it states the sizes {shape} instead of {expected.shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()  # one that may be written


def _unpack(path: Path, size: int) -> bytes:
    try:
        with gzip.open(path) as file:
            content = file.read(size + 1)
    except EOFError as error:
        raise Damaged("it is cut short") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise Damaged(f"it cannot be unpacked: {error}") from error
    if len(content) > size:
        raise Damaged(f"it unpacks to more than {size:,} bytes")
    return content


def _check_md5(content: bytes, expected: str) -> None:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise Damaged(f"its MD5 is {found} instead of {expected}")
