"""Runs command lines in forked children, which need not import anything: `python forking.py`.

Reads a JSON object a line: `arguments`, and `dies_at`, the number of the call of os.fsync or os.replace at which the
child kills itself, or null. Answers with the child's id, then with how it ended.
"""

import functools
import json
import os
import signal
import sys
from pathlib import Path

import matplotlib.figure  # noqa: F401 - curves.png
import torch

from lightconv.cli import main
from lightconv.training import BestAndLast, cli


def dying(function, calls: list[int]):
    def call(*arguments, **options):
        calls[0] -= 1
        if calls[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    return call


def child(arguments: list[str], dies_at: int | None) -> None:
    if dies_at is not None:
        calls = [dies_at]
        os.fsync = dying(os.fsync, calls)
        Path.replace = dying(Path.replace, calls)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
    os._exit(main(arguments))


if __name__ == "__main__":
    torch.set_num_threads(1)
    # So that each epoch is written, however short.
    cli.BestAndLast = functools.partial(BestAndLast, interval=0)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            child(**json.loads(line))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
