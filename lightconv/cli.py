"""The command line: finds out what is wanted, and imports only what that needs."""

import _thread
import difflib
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightconv.errors import UsageError, printable
from lightconv.files import Unwritable

COMMANDS = {
    "fit": "train a classifier",
    "validate": "its accuracy on the validation part",
    "test": "its accuracy on the test set",
    "predict": "a table of its predictions for the test set",
    "export": "write it as an ONNX file, with a card that tells what it is",
    "summary": "a trained run and its exported model side by side",
    "classify": "label files with an ONNX model, without PyTorch",
    "quantize": "make an ONNX model smaller, measured on data",
    "benchmark": "time an ONNX model beside the same network in PyTorch",
    "experiment": "train many networks with many seeds, and report",
    "demo": "draw a number on a page of this machine and watch a network read it",
    "data": "prepare a data set, or show it as a picture",
}


# they call --root what the commands that train call --data.root
_OWN_OPTIONS = ("data", "export", "quantize", "summary")


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit status: 0, or 2 after wrong use, 1 after a failure, 130 after Ctrl-C.

    Args:
        arguments: the command and what follows it; by default those of the process.

    >>> main(["--version"])  # doctest: +ELLIPSIS
    lightconv ...
    0
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        with _no_interrupt_lost():
            _dispatch(arguments)
        return 0
    except SystemExit as leaving:
        return _status(leaving)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough; the interpreter must not try to flush again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            text = _one_line(error)
            if arguments and arguments[0] in _OWN_OPTIONS:
                text = text.replace("`--data.", "`--")
            print(f"lightconv: {text}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) and not _starved(error) else 1


@contextmanager
def _no_interrupt_lost() -> Iterator[None]:
    """Ctrl-C comes again where a finaliser has swallowed it: what is raised in one goes no further.

    Finalisers run after each collection of garbage, and during a long one is when Ctrl-C is likely to come.
    """
    before = sys.unraisablehook

    def again(lost: Any) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            threading.Timer(0.05, _thread.interrupt_main).start()
        else:
            before(lost)

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before


def _dispatch(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return
    if arguments[0] == "--version":
        from lightconv import __version__

        print(f"lightconv {__version__}")
        return
    command, *rest = arguments
    if command in ("fit", "validate", "test", "predict"):
        from lightconv.training.cli import run

        run(command, rest)
    elif command in ("export", "classify", "quantize", "benchmark"):
        from lightconv.deploy import commands

        getattr(commands, command)(rest)
    elif command == "data":
        from lightconv.data.command import data

        data(rest)
    elif command == "experiment":
        from lightconv.experiment.command import experiment

        experiment(rest)
    elif command == "demo":
        from lightconv.demo.command import demo

        demo(rest)
    elif command == "summary":
        from lightconv.training.summary import summary

        summary(rest)
    else:
        near = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see `lightconv --help`."
        raise UsageError(f"Expected a command ({', '.join(COMMANDS)}), but got {command!r}; {hint}")


def _help() -> str:
    commands = "\n".join(f"  {name:11}{what}" for name, what in COMMANDS.items())
    return f"""usage: lightconv COMMAND [options]

commands:
{commands}

options:
  -h, --help   this text; after a command, that command's options
  --version    the version
  --debug      with any command: the traceback of an error

example: lightconv fit --config mnist1d"""


def _status(leaving: SystemExit) -> int:
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    print(leaving.code, file=sys.stderr)
    return 1


def _one_line(error: Exception) -> str:
    text = printable(" ".join(str(error).split()))
    if _starved(error):
        reason = text[:200].rstrip(".") or "out of memory"
        return f"Expected enough memory, but there is no more ({reason}); ask for less at once, or raise the limit."
    return text if isinstance(error, (UsageError, Unwritable)) else f"{type(error).__name__}: {text}"


def _starved(error: Exception) -> bool:
    """Whether there was no memory, as Python, NumPy, PyTorch, onnxruntime and the loader of libraries say it."""
    words = ("allocate memory", "out of memory", "unable to allocate", "bad_alloc", "bad allocation", "failed to map")
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in words)
