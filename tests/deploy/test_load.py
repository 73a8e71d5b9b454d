"""Much at once, for long: memory stays where it was, and answers are right."""

import ctypes
import gc
import linecache
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightconv.deploy.runtime import Classifier, shipped_models
from lightconv.tasks import MNIST1DClassifier

LONG = pytest.mark.long


def resident() -> float:
    """Mebibytes of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def in_use() -> float:
    """Mebibytes of this process once Python and the C library have given back what nobody uses."""
    gc.collect()
    if hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)
    return resident()


needs_linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


@needs_linux
@pytest.mark.parametrize("seconds", [2, pytest.param(180, marks=LONG)])
def test_many_threads_share_a_classifier_for_long(seconds: int):
    """32 threads; memory is looked at after a tenth of the time and in the end."""
    classifier = Classifier("mnist1d", threads=1)
    signals = np.random.default_rng(0).normal(size=(64, 40)).astype(np.float32)
    expected = classifier.predict(signals).labels
    end = time.monotonic() + seconds
    calls, wrong = [0] * 32, []

    def work(number: int) -> None:
        random = np.random.default_rng(number)
        while not calls[number] or (time.monotonic() < end and not wrong):
            start, count = random.integers(0, 32), random.integers(1, 32)
            if not np.array_equal(
                classifier.predict(signals[start : start + count]).labels, expected[start : start + count]
            ):
                wrong.append(number)
            calls[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    time.sleep(seconds / 10)
    begin = resident()
    for thread in threads:
        thread.join()
    grown = resident() - begin
    print(f"{sum(calls):,} calls in {seconds} s, {grown:+.1f} MiB")
    assert not wrong
    assert min(calls) > 0
    assert grown < 8


@pytest.mark.parametrize("count", [20_000, pytest.param(100_000, marks=LONG)])
def test_a_large_batch(count: int):
    """Results as those of its parts, in the memory of one part."""
    classifier = Classifier("mnist1d", threads=1)
    signals = np.resize(np.random.default_rng(0).normal(size=(1000, 40)).astype(np.float32), (count, 40))
    expected = classifier.predict(signals[:1000])
    begin = resident()
    labels, probabilities = classifier.predict(signals)
    grown = resident() - begin
    print(f"{count:,} signals, {grown:+.1f} MiB")
    assert np.array_equal(labels, np.resize(expected.labels, count))
    assert np.allclose(probabilities, np.resize(expected.probabilities, count), atol=1e-6)
    assert grown < 24, "the results themselves are 12 bytes each"


@pytest.mark.skipif("mnist" not in shipped_models(), reason="needs the MNIST model")
@pytest.mark.parametrize("count", [500, pytest.param(100_000, marks=LONG)])
def test_a_large_folder(count: int, tmp_path: Path):
    """Every picture has its line, and all that grows is the list of their names."""
    picture = np.zeros((28, 28), np.uint8)
    picture[4:24, 12:16] = 255
    Image.fromarray(picture).save(tmp_path / "one.png")
    sizes = []
    for number in (10, count):
        folder = tmp_path / str(number)
        folder.mkdir()
        for i in range(number):
            name = folder / f"{i:06}.png"
            if i % 1000 == 0:  # a file has 65,000 links at most, in some file systems
                linked = shutil.copy(tmp_path / "one.png", name)
            else:
                os.link(linked, name)
        code = "import sys; from lightconv.cli import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", code, "classify", "mnist", str(folder), "--threads", "1", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            lines = sum(1 for line in process.stdout if b'"label": 1' in line)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        assert lines == number
        sizes.append(usage.ru_maxrss / 1024)
    print(f"{count:,} pictures, {sizes[1] - sizes[0]:+.1f} MiB")
    assert sizes[1] - sizes[0] < 8 + count * 600 / 2**20


def test_nothing_of_an_export_stays(tmp_path: Path):
    """PyTorch alone keeps the notes of each tracing with open sizes, and the source of each graph it makes."""
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    from lightconv.deploy import to_onnx

    def kept() -> tuple[int, int]:
        gc.collect()
        return sum(type(thing) is ShapeEnv for thing in gc.get_objects()), len(linecache.cache)

    net = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 3), torch.nn.Flatten())
    to_onnx(net, torch.zeros(2, 1, 8), tmp_path / "x.onnx")
    before = kept()
    to_onnx(net, torch.zeros(2, 1, 8), tmp_path / "x.onnx")
    assert kept() == before


def exporting(folder: Path) -> Callable[[], object]:
    from lightconv.deploy import export_onnx

    classifier = MNIST1DClassifier("tiny").eval()
    return lambda: export_onnx(classifier, folder / "x.onnx")


def loading(folder: Path) -> Callable[[], object]:
    return lambda: Classifier("mnist1d", threads=1)


def predicting(folder: Path) -> Callable[[], object]:
    classifier = Classifier("mnist1d", threads=1)
    return lambda: classifier.predict(np.zeros((3, 40), np.float32))


def quantizing(folder: Path) -> Callable[[], object]:
    from lightconv.deploy.quantize import quantize

    signals = np.random.default_rng(0).normal(size=(50, 40)).astype(np.float32)
    return lambda: quantize("mnist1d", folder / "x.onnx", signals, max_drop=1)


def converting(folder: Path) -> Callable[[], object]:
    import lightconv

    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.MaxPool2d(2)).eval()
    return lambda: lightconv.revert(lightconv.fuse(lightconv.convert(net)))(torch.zeros(1, 1, 8, 8))


@needs_linux
@pytest.mark.long
@pytest.mark.parametrize(
    ("prepare", "times"),
    [(exporting, 100), (loading, 200), (predicting, 20_000), (quantizing, 30), (converting, 1000)],
)
def test_again_and_again(
    prepare: Callable[[Path], Callable[[], object]], times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Memory is looked at after each tenth, without what is free, but has not been given back yet."""
    # pytest listens to every log and keeps what it hears: ten records an export, with what PyTorch's tracer saw
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "disabled", True)
    step = prepare(tmp_path)
    sizes = []
    for _ in range(10):
        for _ in range(times // 10):
            step()
        sizes.append(in_use())
    grown = sizes[-1] - sizes[0]
    print(f"{prepare.__name__} {times:,} times, {grown:+.1f} MiB after the first tenth")
    assert grown < 8
