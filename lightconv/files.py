"""Files that appear under their name whole, or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


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
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        file = part.open("xb")
    except OSError as error:
        raise Unwritable(path, error) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except Unwritable:
        raise
    except OSError as error:
        raise Unwritable(path, error) from error
    finally:
        part.unlink(missing_ok=True)
