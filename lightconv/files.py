"""Files that appear under their name whole, or not at all."""

import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]


class Unwritable(OSError):
    """A file or folder could not be written; the message is one sentence.

    Args:
        path: of the file or folder.
        error: what the system said.

    Attributes:
        reason: the same in a few words.

    >>> raise Unwritable(Path("a.csv"), OSError(28, "No space left on device"))
    Traceback (most recent call last):
        ...
    lightconv.files.Unwritable: Expected to write a.csv, but could not: no space left on device.
    """

    def __init__(self, path: Path, error: OSError) -> None:
        text = error.strerror or str(error) or type(error).__name__
        self.reason = text[0].lower() + text[1:]
        super().__init__(f"Expected to write {path}, but could not: {self.reason}.")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if they are not there.

    Raises:
        Unwritable: if that is impossible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unwritable(folder, error) from error


@contextmanager
def beside(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the name ``path`` when the block ends well and vanishes when it does not.

    It lies in the same folder meanwhile, under a name of its own, so that several processes may write the same
    file at once: the last one's stays.

    Raises:
        Unwritable: if the file, or its folder, cannot be written.
    """
    make_folder(path.parent)
    try:
        file = begin(path)
    except OSError as error:
        raise Unwritable(path, error) from error
    part = Path(file.name)
    try:
        yield file
        file.flush()
        os.fsync(file.fileno())
        finish(file, path)
    except Unwritable:
        raise
    except OSError as error:
        raise Unwritable(path, error) from error
    finally:
        abandon(file, part)


def begin(path: Path) -> BinaryIO:
    """A new file beside ``path``, to be renamed to it; what dead processes have left of theirs is removed.

    The file is locked while it is open, and a process that dies, however it does, holds no lock any more.

    Raises:
        OSError: if it cannot be written.
    """
    clear(path.parent, path.name)
    while True:
        file = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part").open("xb")
        if _kept(file):
            return file
        file.close()  # before it was locked, another process took it for a dead one's


def finish(file: BinaryIO, path: Path) -> None:
    """Give a file that :func:`begin` made the name ``path``.

    Raises:
        OSError: if that is impossible.
    """
    if fcntl is None:
        file.close()  # Windows renames no open file
    os.replace(file.name, path)


def abandon(file: BinaryIO, part: Path) -> None:
    """Close a file that :func:`begin` made, and remove what still has its first name."""
    with suppress(OSError):
        file.close()  # what cannot be written any more need not be
    with suppress(OSError):
        part.unlink()


def clear(folder: Path, name: str = "*") -> None:
    """Remove what :func:`begin` made beside files of that name and nobody is writing any more."""
    if fcntl is None:
        return
    pattern = name if name == "*" else glob.escape(name)
    for part in folder.glob(f".{pattern}.*.part"):
        with suppress(OSError), part.open("rb") as file:
            if _lock(file):
                part.unlink()


@contextmanager
def locked(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a folder, where the system has such locks.

    It belongs to the open folder: it leaves no file, and goes when the process does, however it does.

    Args:
        folder: which.
        wait: for another that has the lock.

    Raises:
        BlockingIOError: if another has it, and shall not be waited for.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, wait)
        yield
    finally:
        os.close(handle)


def _kept(file: BinaryIO) -> bool:
    """Whether a new file is this process's for good: another may have locked it first, to remove it."""
    try:
        return fcntl is None or not _lock(file) or os.fstat(file.fileno()).st_nlink > 0
    except BlockingIOError:
        return False


def _lock(file: BinaryIO | int, wait: bool = False) -> bool:
    """Lock an open file or folder; False where the file system knows no locks, as some network drives.

    Raises:
        BlockingIOError: if it is another's.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True
