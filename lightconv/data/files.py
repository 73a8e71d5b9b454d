"""Files that appear under their name whole, or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class Unwritable(OSError):
    """A file could not be written."""


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if they are not there.

    Raises:
        Unwritable: if that is impossible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unwritable(str(error)) from error


@contextmanager
def beside(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the name ``path`` when the block ends well and vanishes when it does not.

    It lies in the same folder meanwhile, under a name of its own, so that several processes may write the same
    file at once: the last one's stays.

    Raises:
        Unwritable: if the folder cannot be made.
    """
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
