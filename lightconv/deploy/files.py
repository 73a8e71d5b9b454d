"""Files that appear whole or not at all, with an error in one sentence where they cannot."""

import contextlib
import os
from pathlib import Path
from types import TracebackType

from lightconv.errors import UsageError
from lightconv.files import abandon, begin, finish, locked

__all__ = ["ExportError", "Staged", "publish_pair"]


class ExportError(UsageError):
    """A model cannot be exported, or not to this place; the message is one sentence."""


class Staged:
    """A file that is written beside its final place and moved there by `publish`.

    As a context manager it removes what has not been published. A link is followed, so that publishing
    replaces the file that the link names.

    Raises:
        ExportError: if the folder does not exist or cannot be written, or a folder has that name.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.realpath(path))
        if self.path.is_dir():
            raise ExportError(f"Expected the name of a file to write, but {path} is a folder.")
        if not self.path.parent.is_dir():
            raise ExportError(f"Expected to write {path}, but there is no folder {self.path.parent}; create it first.")
        try:
            self._file = begin(self.path)
        except OSError as error:
            raise ExportError(
                f"Expected to write {path}, but its folder cannot be written: {error.strerror}."
            ) from error
        self.temporary = Path(self._file.name)

    def write(self, data: bytes) -> None:
        """Write the whole content, through to the disk."""
        try:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(data)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise ExportError(f"Expected to write {self.path}, but could not: {error.strerror}.") from error

    def publish(self) -> None:
        """Move the file to its place; after a crash there is the old file or the new one, never a part."""
        try:
            finish(self._file, self.path)
        except OSError as error:
            raise ExportError(f"Expected to replace {self.path}, but could not: {error.strerror}.") from error
        _flush_folder(self.path.parent)

    def __enter__(self) -> "Staged":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        abandon(self._file, self.temporary)


def publish_pair(file: Staged, description: Staged) -> None:
    """Publish a file and the file that describes it, so that they never disagree, not even after a crash.

    The old description goes first and the new one comes last: between the two, a crash leaves a file without
    a description. Of several that publish to one folder at once, each waits for its turn.
    """
    with locked(file.path.parent, wait=True):
        old = description.path.read_bytes() if description.path.exists() else None
        try:
            description.path.unlink(missing_ok=True)
            _flush_folder(description.path.parent)
            file.publish()
        except BaseException:
            if old is not None:
                with Staged(description.path) as restored:
                    restored.write(old)
                    restored.publish()
            raise
        description.publish()


def _flush_folder(folder: Path) -> None:
    """Make a renaming last; not every system can open a folder."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
