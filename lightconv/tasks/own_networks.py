"""Networks that users bring: functions in files of theirs, named like ``nets.py:mine``."""

import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightconv.errors import UsageError


def is_own(network: Any) -> bool:
    """Whether a network's name is that of a file and a function in it.

    >>> is_own("nets.py:mine"), is_own("light")
    (True, False)
    """
    return isinstance(network, str) and ".py:" in network


def network_name(network: str) -> str:
    """A network's name without its file.

    >>> network_name("experiments/nets.py:mine"), network_name("light")
    ('mine', 'light')
    """
    return network.rpartition(":")[2] if is_own(network) else network


def source(network: str) -> Path:
    """The file of a user's network."""
    return Path(network.rpartition(":")[0]).expanduser()


def fingerprint(network: str) -> str:
    """SHA-256 of that file.

    Raises:
        UsageError: if it cannot be read.
    """
    try:
        return hashlib.sha256(source(network).read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(
            f"Expected `network` to name a file and a function in it, but {str(source(network))!r} cannot be read "
            f"({error.strerror})."
        ) from error


_refusing = ContextVar("_refusing", default=False)


@contextmanager
def refused() -> Iterator[None]:
    """A block in which no user's network is made: names that come from a file must not make code run."""
    before = _refusing.set(True)
    try:
        yield
    finally:
        _refusing.reset(before)


def make(network: str, options: Mapping[str, Any], shape: tuple[int, ...], classes: int) -> nn.Module:
    """The network that the user's function returns, from (N, 1, ...) to logits (N, classes).

    The file is run as a program would be, with its folder among the places where it finds what it imports. The
    network is tried on a batch of zeros, which also gives its lazy layers their size.

    Args:
        network: file and function (or class), ``nets.py:mine``.
        options: the function's arguments.
        shape: of one normalised sample, without its channel.
        classes: number of logits.

    Raises:
        UsageError: if there is no such file or function, it fails, or returns something else.
    """
    if _refusing.get():
        raise UsageError(
            f"Expected a network of lightconv's, but the checkpoint's is {network!r}, whose code would run; pass "
            "`network` as well, if you trust it."
        )
    function = _function(network)
    try:
        made = function(**options)
    except Exception as error:
        raise UsageError(
            f"Expected `network` to name a function that makes one, but {_told(error, source(network))}"
        ) from error
    if not isinstance(made, nn.Module):
        raise UsageError(
            f"Expected `network` to name a function that returns a torch.nn.Module, but {network} returns "
            f"{type(made).__name__}."
        )
    wanted = f"({', '.join(map(str, ('N', 1, *shape)))}) to logits (N, {classes})"
    try:
        with torch.no_grad():
            logits = made.eval()(torch.zeros(2, 1, *shape))
    except Exception as error:
        raise UsageError(f"Expected `network` to map {wanted}, but {_told(error, source(network))}") from error
    if not isinstance(logits, Tensor) or tuple(logits.shape) != (2, classes):
        got = f"{tuple(logits.shape)} for N = 2" if isinstance(logits, Tensor) else type(logits).__name__
        raise UsageError(f"Expected `network` to map {wanted}, but {network} gives {got}.")
    return made.train()


def _function(network: str) -> Callable[..., Any]:
    path, name = source(network), network_name(network)
    content = f"{path.resolve()} {fingerprint(network)}"
    title = f"lightconv_own_{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    if title not in sys.modules:
        spec = importlib.util.spec_from_file_location(title, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        if (folder := str(path.resolve().parent)) not in sys.path:
            sys.path.append(folder)
        sys.modules[title] = module
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[title]
            if not isinstance(error, Exception):
                raise
            raise UsageError(f"Expected `network` to name a file of Python, but {_told(error, path)}") from error
    module = sys.modules[title]
    function = getattr(module, name, None)
    if not callable(function):
        mine = {key: value for key, value in vars(module).items() if getattr(value, "__module__", None) == title}
        there = ", ".join(key for key, value in mine.items() if callable(value)) or "none"
        raise UsageError(f"Expected `network` to name a function in {str(path)!r} ({there}), but got {name!r}.")
    return function  # type: ignore[no-any-return]


def _told(error: Exception, path: Path) -> str:
    """An error in the user's code in one sentence, with the line that it is about."""
    here = os.path.abspath(path)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == here]
    text = str(error)
    if isinstance(error, SyntaxError):
        lines = [error.lineno] if error.filename == here else lines
        text = error.msg
    where = f"line {lines[-1]} of {path}" if lines else str(path)
    text = " ".join(text.split()).rstrip(".")
    return f"{where} fails: {type(error).__name__}: {text[:300]}."
