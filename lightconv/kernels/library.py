"""The compiled library: found, checked, and its functions for this CPU."""

import ctypes
import functools
import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from lightconv.functional.geometry import Sizes, memory_format
from lightconv.kernels import build

# in the order in which they are preferred
VARIANTS = ("avx512_bf16", "avx512", "avx2", "baseline")
# the functions of another one, and some for bfloat16
ADDED_TO = {"avx512_bf16": "avx512"}
ENVIRONMENT = "LIGHTCONV_KERNELS"
ENVIRONMENT_LIBRARY = "LIGHTCONV_KERNELS_LIBRARY"

Function = Callable[..., Any]
# arguments that each function takes, pointers and 64-bit integers
_ARGUMENTS = {
    "conv": 5,
    "conv_transpose": 5,
    "conv_weight": 4,
    "conv_max_pool_relu": 6,
    "block_input": 6,
    "block_weight": 7,
    "max_pool": 5,
    "max_pool_spread": 5,
    "max_pool_last": 6,
    "max_pool_spread_last": 6,
    "avg_pool": 3,
    "plane_mean": 3,
    "plane_spread": 3,
    "max_bins": 4,
    "max_bins_last": 4,
    "resample": 3,
    "resample_bytes": 3,
    "unpool": 8,
}
_IN_BFLOAT16 = (
    *("conv", "conv_transpose", "conv_weight", "conv_max_pool_relu", "block_input", "block_weight"),
    *("max_pool", "max_pool_spread", "avg_pool", "plane_mean", "plane_spread"),
)
_SUFFIXES = {torch.float32: "", torch.bfloat16: "_bfloat16"}


def library_path() -> Path:
    """The shared library: the installed one, or another that the environment names."""
    return Path(os.environ.get(ENVIRONMENT_LIBRARY) or build.LIBRARY)


def _answer(status: int, function: Any, arguments: Any) -> int:
    """What a kernel returns, unless that is that it has run out of memory."""
    if status < 0:
        raise MemoryError(
            "Expected memory for what a kernel keeps while it runs, but the system has no more; take a smaller batch."
        )
    return status


class Library:
    """The functions that a shared library has for one instruction set.

    Args:
        path: the shared library; `library_path()` if not given.
        variant: one of `VARIANTS`; the best that this CPU can run if not given.

    Raises:
        OSError: if the library cannot be loaded, is not the one built from these sources, or has nothing that this
            CPU can run.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, variant: str | None = None) -> None:
        path = os.fspath(path or library_path())
        loaded = ctypes.CDLL(path)
        try:
            loaded.lightconv_sources.restype = ctypes.c_char_p
            built_from = loaded.lightconv_sources().decode()
        except AttributeError as error:
            raise OSError(f"Expected {path} to be lightconv's kernels, but it is another library.") from error
        if built_from != build.digest():
            raise OSError(
                f"Expected {path} to be built from the present sources, but they have changed since; "
                "install lightconv again."
            )
        wanted = VARIANTS if variant is None else (variant,)
        runs = (v for v in wanted if hasattr(loaded, f"{v}_conv") and loaded.lightconv_runs(v.encode()))
        found = next(runs, None)
        if found is None:
            raise OSError(f"Expected kernels for this CPU in {path}, but found none of {', '.join(wanted)}.")
        self.variant: str = found
        self.functions: dict[str, Function] = {}

        def take(variant: str, name: str, dtype: torch.dtype) -> None:
            function = getattr(loaded, f"{variant}_{name}")
            function.argtypes = [ctypes.c_void_p] * _ARGUMENTS[name]
            function.restype = ctypes.c_int
            function.errcheck = _answer
            self.functions[name + _SUFFIXES[dtype]] = function

        for name in _ARGUMENTS:
            take(ADDED_TO.get(found, found), name, torch.float32)
        for name in _IN_BFLOAT16 if found in ADDED_TO else ():
            take(found, name, torch.bfloat16)


@functools.cache
def functions() -> dict[str, Function]:
    """The functions of the library in use, by name; empty, after one warning, if there is none.

    The environment variable LIGHTCONV_KERNELS can name an instruction set, one of `VARIANTS`, or "off";
    LIGHTCONV_KERNELS_LIBRARY a library to use instead of the installed one.

    Raises:
        ValueError: if it names something else.
    """
    wanted = os.environ.get(ENVIRONMENT) or None
    if wanted == "off":
        return {}
    if wanted is not None and wanted not in VARIANTS:
        raise ValueError(f"Expected ${ENVIRONMENT} to be one of {', '.join(VARIANTS)} or off, but got {wanted!r}.")
    try:
        return Library(variant=wanted).functions
    except OSError as error:
        reason = str(error) if library_path().exists() else "there was no C++ compiler when it was installed"
        warnings.warn(f"lightconv runs without its compiled kernels, more slowly: {reason}", stacklevel=2)
        return {}


_PLAIN = (Tensor, Parameter)
_modes = torch._C._len_torch_dispatch_stack
_tracing = torch._C._get_tracing_state


def usable(*tensors: Tensor | None, dtype: torch.dtype = torch.float32) -> bool:
    """Whether kernels can read the tensors, and nobody watches who would see nothing of what they do."""
    if _modes() or _tracing() is not None:
        return False
    for tensor in tensors:
        if tensor is not None and (
            type(tensor) not in _PLAIN
            or tensor.dtype is not dtype
            or not tensor.is_cpu
            or tensor.layout is not torch.strided
            or tensor.is_neg()
        ):
            return False
    return True


def function(name: str, dtype: torch.dtype) -> Function | None:
    """The function of that name for tensors of a dtype; None if there is none."""
    suffix = _SUFFIXES.get(dtype)
    return None if suffix is None else functions().get(name + suffix)


def function_for(name: str, first: Tensor, *others: Tensor | None) -> Function | None:
    """The function of that name for these tensors; None if there is none, or it cannot read them."""
    return function(name, first.dtype) if usable(first, *others, dtype=first.dtype) else None


def layout(*tensors: Tensor) -> torch.memory_format:
    """The layout of a result, as `memory_format` has it."""
    for tensor in tensors:
        if not tensor.is_contiguous():
            return memory_format(*tensors)
    return torch.contiguous_format


def numerable(size: Sizes, kernel: Sizes, pads: Sizes) -> bool:
    """Whether 32-bit integers, which kernels use, number the elements of a padded sample and the taps of a window."""
    axes = len(size)
    padded = (n + low + high for n, low, high in zip(size, pads[:axes], pads[axes:], strict=True))
    return max(math.prod(padded), math.prod(kernel)) < 2**31


class Integers:
    """Integers in memory, as a kernel reads its arguments; `address` is where."""

    def __init__(self, *values: int) -> None:
        self._array: Any = (ctypes.c_int64 * len(values))(*values)
        self.address: int = ctypes.addressof(self._array)
