"""Labels out of a file: an array, or lines with a whole number each."""

import os
from pathlib import Path

import numpy as np

from lightconv.deploy.runtime import LINE, UNREADABLE, reason_of
from lightconv.errors import UsageError

__all__ = ["read_labels"]


def read_labels(path: str | os.PathLike[str]) -> np.ndarray:
    """The labels in a `.npy` file, or in a text: a whole number a line, perhaps after a heading.

    In a text `#` starts a comment, and a heading of one word, as a table's column has, is skipped.

    Raises:
        UsageError: if the file cannot be read, or holds something else.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".npy":
            labels = np.load(path, mmap_mode="r", allow_pickle=False)
            if not isinstance(labels, np.ndarray):
                raise ValueError("it holds several arrays")
            return labels
        return np.array(_numbers(path), np.int64)
    except UsageError:
        raise
    except UNREADABLE as error:
        raise UsageError(
            f"Expected a file of whole numbers, but {path} cannot be read as one ({reason_of(error)})."
        ) from error


def _numbers(path: Path) -> list[int]:
    numbers: list[int] = []
    first = True
    with open(path, encoding="utf-8-sig") as file:
        for place, line in enumerate(iter(lambda: file.readline(LINE), ""), 1):
            words = line.split("#", 1)[0].split()
            heading = first and len(words) == 1 and not _is_whole(words[0])
            first = first and not words
            if heading:
                continue
            if not all(map(_is_whole, words)):
                raise UsageError(
                    f"Expected a whole number a line, but line {place} of {path} reads {line.strip()!r:.60}."
                )
            numbers += map(int, words)
    return numbers


def _is_whole(word: str) -> bool:
    return word.removeprefix("-").isdecimal()
