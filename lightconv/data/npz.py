"""Reading .npz files of unknown origin: no pickle, no surprise in size."""

import errno
import math
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lightconv.data.idx import Damaged

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(path: Path, names: Sequence[str], limit: int) -> dict[str, np.ndarray]:
    """The named arrays of an ``.npz`` file.

    Every size is checked before anything of that size is made, and no object is ever unpickled.

    Args:
        path: the file.
        names: the arrays to read; others are left alone.
        limit: bytes that the arrays may have together.

    Raises:
        Damaged: if the file is not such a file, lacks an array, or is too large.
        OSError: if it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as file:
            members = {info.filename: info for info in file.infolist()}
            if missing := [name for name in names if f"{name}.npy" not in members]:
                held = ", ".join(sorted(name.removesuffix(".npy") for name in members)) or "nothing"
                raise Damaged(f"it has no array {missing[0]!r}, but {held}")
            wanted = {name: members[f"{name}.npy"] for name in names}
            if odd := [name for name, info in wanted.items() if info.compress_type not in _METHODS]:
                raise Damaged(f"`{odd[0]}` is packed by another method than NumPy's")
            if (size := sum(info.file_size for info in wanted.values())) > limit:
                raise Damaged(f"it unpacks to {size:,} bytes, more than the {limit:,} that are allowed")
            return {name: _read(file, info, name) for name, info in wanted.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise Damaged(f"it cannot be unpacked: {error or 'it is cut short'}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise Damaged("it places an array before its beginning") from error


def _read(file: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> np.ndarray:
    with file.open(info) as member:
        try:
            version = np.lib.format.read_magic(member)
            if version not in _HEADERS:
                raise ValueError(f"version {version} of the format")
            shape, transposed, dtype = _HEADERS[version](member)
        except (ValueError, SyntaxError, tokenize.TokenError, TypeError, RecursionError, MemoryError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise Damaged(f"the header of `{name}` is wrong ({reason})") from error
        if dtype.hasobject:
            raise Damaged(f"`{name}` is an array of Python objects")
        size = math.prod(shape) * dtype.itemsize
        if size != info.file_size - member.tell():
            raise Damaged(f"`{name}` states {size:,} bytes, but has {info.file_size - member.tell():,}")
        content = member.read()
    if len(content) != size:
        raise Damaged(f"`{name}` is cut short")
    return np.frombuffer(bytearray(content), dtype).reshape(shape, order="F" if transposed else "C")
