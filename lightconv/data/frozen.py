"""Reading the published pickle of MNIST-1D without running what else a pickle may hold."""

import io
import math
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from lightconv.data.idx import Damaged

_CODES = {"f4", "f8", "i4", "i8"}
_FRAME = 9  # bytes: the instruction and the length of what follows


def read_frozen(path: Path, limit: int = 1 << 28) -> Any:
    """What a pickle holds, if that is NumPy arrays of numbers in dictionaries, lists and the like.

    A pickle is a program. Of the names that it may ask for, the three that arrays are made of are answered with
    stand-ins of our own, which take numbers only; every other name is refused before it is imported.

    Args:
        path: the file.
        limit: its bytes, at most.

    Raises:
        Damaged: if it is larger, is cut short, or asks for anything else.
        OSError: if it cannot be read.
    """
    if (size := path.stat().st_size) > limit:
        raise Damaged(f"it has {size:,} bytes, more than the {limit:,} that are allowed")
    content = path.read_bytes()
    try:
        return _arrays(_Unpickler(io.BytesIO(_checked(content))).load())
    except Damaged:
        raise
    except Exception as error:
        # A broken pickle is a broken program: there are as many exceptions as instructions.
        raise Damaged(f"it is not a pickle of arrays ({type(error).__name__}: {error})") from error


def _checked(content: bytes) -> bytes:
    """The instructions, each looked at, without the frames that divide them.

    The unpickler makes room for as many objects as the largest number that one is remembered by. And where a frame
    begins within another, it would go on at another place than whoever looks at one instruction after the other.
    """
    number: Any
    place: Any
    kept, begin = bytearray(), 0
    for count, (instruction, number, place) in enumerate(pickletools.genops(content)):
        if instruction.name in ("PUT", "BINPUT", "LONG_BINPUT") and number > count:
            raise Damaged(f"it remembers an object by the number {number:,}, after {count} instructions")
        if instruction.name == "FRAME":
            kept += content[begin:place]
            begin = place + _FRAME
    return bytes(kept) + content[begin:]


class _DType:
    """Stands in for numpy.dtype."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if code not in _CODES:
            raise Damaged(f"it holds an array of type {code!r:.40}")
        self.code = code
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">"):
            raise Damaged("it holds an array of an odd type")
        self.order = state[1]


class _Array:
    """Stands in for numpy.ndarray, under construction."""

    value: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, transposed, content = state
        if not isinstance(dtype, _DType) or not isinstance(content, bytes):
            raise Damaged("it holds an array that is not of numbers")
        kind = np.dtype(dtype.order + dtype.code)
        if math.prod(shape) * kind.itemsize != len(content):
            raise Damaged(f"it holds an array of shape {shape} in {len(content):,} bytes")
        self.value = np.frombuffer(bytearray(content), kind).reshape(shape, order="F" if transposed else "C")


def _begin(*_: Any) -> _Array:
    return _Array()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # NumPy 2 renamed numpy.core to numpy._core.
        known = {"numpy.ndarray": _Array, "numpy.dtype": _DType, "numpy.core.multiarray._reconstruct": _begin}
        full = f"{module}.{name}".replace("numpy._core.", "numpy.core.")
        if full not in known:
            raise Damaged(f"it asks for {module}.{name}, which no array needs")
        return known[full]

    def persistent_load(self, pid: Any) -> Any:
        raise Damaged("it refers to objects outside")


def _arrays(thing: Any, known: dict[int, Any] | None = None) -> Any:
    """The same with arrays for their stand-ins. What is there in many places is made once."""
    known = {} if known is None else known
    if id(thing) in known:
        return known[id(thing)]
    result = thing
    if isinstance(thing, _Array):
        result = thing.value
    elif isinstance(thing, dict):
        result = {key: _arrays(value, known) for key, value in thing.items()}
    elif isinstance(thing, list | tuple):
        result = type(thing)(_arrays(value, known) for value in thing)
    known[id(thing)] = result
    return result
