"""The one folder in which everything of a run lies."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lightconv.errors import UsageError
from lightconv.files import clear, locked
from lightconv.tasks.loading import BEST, COPY
from lightconv.training import evaluation
from lightconv.training.callbacks.best_and_last import LAST
from lightconv.training.callbacks.curves import CURVES
from lightconv.training.callbacks.metrics_file import METRICS

CONFIG = "config.yaml"
PREDICTIONS = "predictions.csv"
# The last checkpoint first: once it is moved, a run that dies on the way is not taken for one to go on with.
FILES = (LAST, BEST, CONFIG, COPY, METRICS, CURVES, PREDICTIONS, *evaluation.FILES)


class RunFolder:
    """A folder that holds at most one run.

    Args:
        path: where; it need not exist.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()

    def __str__(self) -> str:
        return str(self.path)

    def prepare(self) -> None:
        """Make the folder, and make sure that files can be written there.

        Raises:
            UsageError: if not.
        """
        probe = self.path / f".{os.getpid()}.part"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UsageError(
                f"Expected a run folder that can be written, but got {str(self)!r} ({error.strerror}); "
                "name another with `--run_dir`."
            ) from error

    def discard(self) -> None:
        """Remove the folder if nothing is in it: there was no run."""
        with suppress(OSError):  # there is something
            self.path.rmdir()

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Within the block no other run may write here; what a run that was killed had half written goes away.

        Raises:
            UsageError: if another run is writing here.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path))
            except BlockingIOError as error:
                raise UsageError(
                    f"Expected a run folder for this run alone, but another one is writing to {str(self)!r}; "
                    "wait for its end, or name another folder with `--run_dir`."
                ) from error
            clear(self.path)
            yield

    def set_aside(self) -> Path | None:
        """Move an earlier run's files into ``earlier-1``, ``earlier-2``, ... within the folder.

        Returns:
            the folder they are in now, which can be used as a run folder, or None if there were none.
        """
        files = [self.path / name for name in FILES if (self.path / name).exists()]
        if not files:
            return None
        number = 1
        while (aside := self.path / f"earlier-{number}").exists():
            number += 1
        aside.mkdir()
        for file in files:
            file.rename(aside / file.name)
        return aside

    def has(self, which: str) -> bool:
        """Whether there is a checkpoint ``"best"`` or ``"last"``."""
        return (self.path / {"best": BEST, "last": LAST}[which]).is_file()

    def checkpoint(self, which: str) -> Path:
        """The file of the checkpoint ``"best"`` or ``"last"``.

        Raises:
            UsageError: if the folder has none.
        """
        path = self.path / {"best": BEST, "last": LAST}[which]
        if not self.has(which):
            raise UsageError(
                f"Expected a trained run in {str(self)!r}, but there is no {path.name}; train it with `fit` first, "
                "or name the run's folder with `--run_dir`, or a checkpoint with `--ckpt_path FILE`."
            )
        return path
