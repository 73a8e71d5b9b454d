"""Command lines in forked children of a program that has imported everything: killed, starved, with a mad clock.

The program is this file. It reads a JSON object a line, the arguments of `child`; answers with the child's id, then
with how it ended.
"""

import contextlib
import functools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path


class Runs:
    """The program, seen from a test."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def start(self, *arguments: str, **fault: object) -> int:
        self.process.stdin.write(json.dumps({"arguments": arguments, **fault}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> int:
        return int(self.process.stdout.readline())

    def run(self, *arguments: str, **fault: object) -> int:
        self.start(*arguments, **fault)
        return self.end()

    def killed_after(self, seconds: float, *arguments: str) -> int:
        pid = self.start(*arguments)
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):  # it was faster
            os.kill(pid, signal.SIGKILL)
        return self.end()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def child(
    arguments: list[str],
    dies_at: int | None = None,
    by: int = signal.SIGKILL,
    memory: int | None = None,
    clock: bool = False,
    twice: bool = False,
    said: str | None = None,
) -> None:
    """Run a command.

    Args:
        arguments: the command.
        dies_at: the number of the call of os.fsync or os.replace at which the child gets a signal.
        by: the signal.
        memory: bytes that it may have beyond what it has.
        clock: whether the time of day goes backwards, a day a call.
        twice: whether two do the same at once.
        said: the file that takes stderr, if it shall be kept.
    """
    if dies_at is not None:
        calls = [dies_at]
        os.fsync = dying(os.fsync, calls, by)
        os.replace = dying(os.replace, calls, by)
    if clock:
        days = iter(range(20_000, 0, -1))
        time.time = lambda: 86_400.0 * next(days)
    for number, name in ((1, os.devnull), (2, said)):
        if name is not None:
            with open(name, "w") as file:
                os.dup2(file.fileno(), number)
    if memory is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    other = os.fork() if twice else 0
    status = main(arguments)
    sys.stderr.flush()
    if other:
        status |= os.waitstatus_to_exitcode(os.waitpid(other, 0)[1])
    os._exit(status)


def dying(function, calls: list[int], by: int):
    def call(*arguments, **options):
        calls[0] -= 1
        if calls[0] == 0:
            os.kill(os.getpid(), by)
        return function(*arguments, **options)

    return call


if __name__ == "__main__":
    import matplotlib.figure  # noqa: F401 - curves.png
    import onnxruntime.quantization  # noqa: F401
    import torch

    import lightconv.deploy.quantize  # noqa: F401 - and all that exports
    from lightconv.cli import main
    from lightconv.training import BestAndLast, cli

    torch.set_num_threads(1)
    # So that each epoch is written, however short.
    cli.BestAndLast = functools.partial(BestAndLast, interval=0)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            child(**json.loads(line))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
