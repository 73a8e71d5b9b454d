"""Commands that are killed, starved and refused: what was there stays, what is new is whole, the next run goes on."""

import hashlib
import json
import os
import signal
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from forked import Runs
from PIL import Image
from small_disk import contents, fill, forbid_writing, small_disk

from lightconv.deploy.runtime import Classifier, shipped_models


@dataclass(frozen=True)
class Command:
    """What is tried: arguments, {folder} and {given} filled in, and the files that it makes in the folder."""

    arguments: str
    makes: tuple[str, ...]

    def line(self, folder: Path, given: Path) -> list[str]:
        return self.arguments.format(folder=folder, given=given, model=shipped_models()["mnist1d"]).split()


COMMANDS = {
    "prepare": Command("data prepare --variant mnist1d --root {folder}", ("mnist1d/ordered.npz",)),
    "show": Command("data show --variant digits --output {folder}/sheet.png", ("sheet.png",)),
    "export": Command(
        "export --ckpt_path {given}/run/last.ckpt --no_scores --output {folder}/m.onnx", ("m.onnx", "m.json")
    ),
    "quantize": Command(
        "quantize {model} --precision float16 --data {given}/x.npy --output {folder}/q.onnx", ("q.onnx", "q.json")
    ),
    "predict": Command(
        "predict --config mnist1d --ckpt_path {given}/run/last.ckpt --run_dir {folder}", ("predictions.csv",)
    ),
}
QUICK = ("prepare", "quantize")
OLD = b"old"


@pytest.fixture(scope="module")
def runs(root: Path) -> Iterator[Runs]:
    os.environ["LIGHTCONV_DATA"] = str(root)
    runs = Runs()
    del os.environ["LIGHTCONV_DATA"]
    yield runs
    runs.close()


@pytest.fixture(scope="module")
def given(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples, and the folder of a run of one epoch."""
    folder = tmp_path_factory.mktemp("given")
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(64, 40)).astype(np.float32))
    fit = "fit --config mnist1d --model.network tiny --data.fraction 0.1 --trainer.max_epochs 1 --run_dir"
    assert runs.run(*fit.split(), str(folder / "run")) == 0
    return folder


def is_whole(path: Path) -> bool:
    """Whether a file that a command makes is one, with its card where it has one."""
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    if path.suffix == ".png":
        Image.open(path).verify()
        return True
    if path.suffix == ".csv":
        return len(path.read_text().splitlines()) == 1001
    if path.suffix == ".onnx":
        return bool(Classifier(path, threads=1).class_names)
    return json.loads(path.read_text())["sha256"] == hashlib.sha256(path.with_suffix(".onnx").read_bytes()).hexdigest()


def check_files(command: Command, folder: Path, new: bool = False) -> None:
    """Each file is the old one or whole; nothing else is visible."""
    for name in command.makes:
        path = folder / name
        old = path.exists() and path.read_bytes() == OLD
        assert (path.exists() and not old) or not new, name
        if path.exists() and not old:
            assert is_whole(path), name
    seen = {name for name in contents(folder) if not Path(name).name.startswith(".")}
    assert seen <= {*command.makes, "ballast"}


def put_old(command: Command, folder: Path) -> None:
    for name in command.makes:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(OLD)


def check_next_run(command: Command, line: list[str], runs: Runs, folder: Path) -> None:
    assert runs.run(*line) == 0
    check_files(command, folder, new=True)
    assert not [name for name in contents(folder) if Path(name).name.startswith(".")], "what the dead have left"


def some(quick: tuple[str, ...] = QUICK) -> list:
    return [pytest.param(name, marks=[] if name in quick else pytest.mark.long) for name in COMMANDS]


@pytest.mark.parametrize("by", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", some())
def test_killed(name: str, by: signal.Signals, runs: Runs, given: Path, tmp_path: Path):
    """Before each step that touches the disk; in the short form the second."""
    command = COMMANDS[name]
    line = command.line(tmp_path, given)
    for step in range(2, 3) if name in QUICK and by == signal.SIGKILL else range(1, 20):
        put_old(command, tmp_path)
        status = runs.run(*line, dies_at=step, by=by)
        check_files(command, tmp_path, new=status == 0)
        if status == 0:
            break
        assert status in (-by, 128 + by)
    assert step > 1
    check_next_run(command, line, runs, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_moment(name: str, runs: Runs, given: Path, tmp_path: Path):
    command = COMMANDS[name]
    line = command.line(tmp_path, given)
    start = time.monotonic()
    assert runs.run(*line) == 0
    seconds = time.monotonic() - start
    for share in np.random.default_rng(0).uniform(0, 1, 5):
        put_old(command, tmp_path)
        runs.killed_after(seconds * share, *line)
        check_files(command, tmp_path)
    check_next_run(command, line, runs, tmp_path)


def refused(line: list[str], runs: Runs, said: Path, **fault: object) -> str:
    """The one sentence with which a command ends."""
    assert runs.run(*line, said=str(said), **fault) in (1, 2)
    lines = [line for line in said.read_text().splitlines() if not line.startswith("The cached data in")]
    assert len(lines) == 1, lines
    assert lines[0].startswith("lightconv: ")
    return lines[0]


@pytest.mark.parametrize("name", some())
def test_a_disk_that_is_full_and_then_read_only(name: str, runs: Runs, given: Path, tmp_path: Path):
    command = COMMANDS[name]
    with small_disk(tmp_path / "disk", "2m") as disk:
        line = command.line(disk, given)
        put_old(command, disk)
        before = contents(disk)
        for left in (0, 4096):
            ballast = fill(disk, left)
            assert "no space left on device" in refused(line, runs, tmp_path / "said").lower()
            ballast.unlink()
            assert contents(disk) == before
        forbid_writing(disk)
        assert "ead-only file system" in refused(line, runs, tmp_path / "said")
        assert contents(disk) == before


@pytest.mark.parametrize("mebibytes", [0, *(pytest.param(size, marks=pytest.mark.long) for size in (4, 16, 64, 256))])
@pytest.mark.parametrize("name", some(("quantize",)))
def test_little_memory(name: str, mebibytes: int, runs: Runs, given: Path, tmp_path: Path):
    command = COMMANDS[name]
    folder = tmp_path / "folder"
    line = command.line(folder, given)
    put_old(command, folder)
    status = runs.run(*line, memory=mebibytes << 20, said=str(tmp_path / "said"))
    if status:
        (said,) = (tmp_path / "said").read_text().splitlines()
        assert status == 1 or name == "export", "whose tracer may say something else"
        assert said.startswith(
            "lightconv: Expected enough memory, but there is no more" if status == 1 else "lightconv: "
        )
    check_files(command, folder, new=status == 0)
    check_next_run(command, line, runs, folder)


@pytest.mark.parametrize("name", some())
def test_a_clock_that_goes_backwards(name: str, runs: Runs, given: Path, tmp_path: Path):
    command = COMMANDS[name]
    line = command.line(tmp_path, given)
    assert runs.run(*line) == 0
    first = contents(tmp_path)
    for path in tmp_path.rglob("*"):
        os.utime(path, (4e9, 4e9))
    assert runs.run(*line, clock=True) == 0
    check_files(command, tmp_path, new=True)
    assert {name: content for name, content in contents(tmp_path).items() if not name.endswith(".json")} == {
        name: content for name, content in first.items() if not name.endswith(".json")
    }


@pytest.mark.parametrize("name", some())
def test_two_at_once(name: str, runs: Runs, given: Path, tmp_path: Path):
    command = COMMANDS[name]
    line = command.line(tmp_path, given)
    put_old(command, tmp_path)
    assert runs.run(*line, twice=True) == 0
    check_files(command, tmp_path, new=True)
    assert not [name for name in contents(tmp_path) if Path(name).name.startswith(".")]
