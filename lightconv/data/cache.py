"""Keeping generated arrays in a file that is either whole or made again."""

import hashlib
import logging
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from lightconv.data.idx import Damaged
from lightconv.data.npz import read_npz
from lightconv.files import Unwritable, beside, make_folder

Arrays = Mapping[str, np.ndarray]
Layout = Mapping[str, tuple[tuple[int, ...], str]]

# of the checksum and of all arrays' headers
_DIGEST_BYTES = 1 << 16
_log = logging.getLogger(__name__)


def cached(path: Path, layout: Layout, make: Callable[[], Arrays], required: bool = True) -> Arrays:
    """Arrays from the file ``path``; if it is absent or damaged, from ``make()``, and written there.

    The file is an ``.npz`` read without pickle. It counts as damaged if an array's shape or dtype differs from
    ``layout`` (name: shape, dtype) or the arrays do not have the checksum that was stored with them. It is written
    beside its place and renamed, so that no other process sees half of it.

    Args:
        path: where the file lies or will lie.
        layout: what it must hold.
        make: computes the arrays; their order is kept.
        required: whether a folder that cannot be written is an error, or only logged.

    Raises:
        Unwritable: if the file has to be written and cannot be.
    """
    if os.path.exists(path):  # which, unlike Path's, has an answer for folders that are closed
        try:
            return _read(path, layout)
        except (OSError, Damaged) as error:
            _log.warning("The cached data in %s are damaged (%s); generating them again.", path, _first_line(error))
    elif required:
        make_folder(path.parent)  # so that a folder that cannot be written is noticed before the work is done
    arrays = make()
    try:
        _write(path, arrays)
    except Unwritable as error:
        if required:
            raise
        _log.warning("The data could not be kept in %s (%s); going on without.", path, error.reason)
    return arrays


def digest(arrays: Arrays) -> str:
    """SHA-256 of names, dtypes, shapes and contents."""
    result = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        result.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        result.update(array.tobytes())
    return result.hexdigest()


def _read(path: Path, layout: Layout) -> Arrays:
    sizes = (math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in layout.values())
    arrays = read_npz(path, [*layout, "sha256"], sum(sizes) + _DIGEST_BYTES)
    stored = str(arrays.pop("sha256"))
    for name, (shape, dtype) in layout.items():
        if (arrays[name].shape, arrays[name].dtype.name) != (shape, dtype):
            raise Damaged(f"`{name}` is {arrays[name].dtype.name} {arrays[name].shape}, not {dtype} {shape}")
    if digest(arrays) != stored:
        raise Damaged("the checksum differs")
    return arrays


def _write(path: Path, arrays: Arrays) -> None:
    with beside(path) as file:
        np.savez(file, **{"sha256": np.array(digest(arrays)), **arrays}, allow_pickle=False)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
