"""Classifying with NumPy and onnxruntime: every kind of input, and a sentence for what cannot be used."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from lightconv.deploy import runtime
from lightconv.deploy.runtime import Classifier, InputError


@pytest.fixture(scope="module")
def signals() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, 40)).astype(np.float32)


@pytest.fixture(scope="module")
def classifier(signal_model: Path) -> Classifier:
    return Classifier(signal_model, threads=1, batch_size=4)


@pytest.fixture(scope="module")
def expected(signal_classifier, signals: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        raw = torch.from_numpy(signals)
        return signal_classifier(signal_classifier.preprocess(raw)).softmax(1).numpy()


def test_labels_and_probabilities_are_the_modules(classifier, signals, expected) -> None:
    labels, probabilities = classifier.predict(signals)
    assert labels.dtype == np.int64
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(labels, expected.argmax(1))
    np.testing.assert_allclose(probabilities, expected.max(1), atol=1e-6)


def test_the_most_probable_labels_in_order(classifier, signals, expected) -> None:
    labels, probabilities = classifier.predict(signals, top_k=3)
    np.testing.assert_array_equal(labels, np.argsort(-expected, axis=1)[:, :3])
    np.testing.assert_allclose(probabilities, -np.sort(-expected, axis=1)[:, :3], atol=1e-6)


def test_every_way_to_hand_over_signals(classifier, signals, tmp_path: Path) -> None:
    expected = classifier.predict(signals)
    np.save(tmp_path / "a.npy", signals)
    np.save(tmp_path / "b.npy", np.asfortranarray(signals.astype(">f8")))
    np.savetxt(tmp_path / "c.csv", signals, delimiter=",", header="forty columns")
    np.savetxt(tmp_path / "d.txt", signals)
    heading = ",".join(map(str, range(40)))
    rows = [";".join(f"{value:.9g}" for value in row) for row in signals]
    (tmp_path / "e.CSV").write_text("\n".join([heading, *rows, ""]), encoding="utf-8-sig")
    (tmp_path / "f.csv").write_text("\n".join(["one, two", *rows]))
    quoted = [";".join(f'"{value:.9g}"' for value in row).replace(".", ",") for row in signals]
    (tmp_path / "g.csv").write_text("\n".join(quoted))  # as spreadsheets write it where the comma is decimal
    files = sorted(tmp_path.iterdir())
    for source in (
        *files,
        *map(str, files),
        signals[:, None],
        signals.astype(np.float64),
        signals.tolist(),
        torch.from_numpy(signals),
        list(signals),
        (row for row in signals),
        [signals[:2], [signals[2:]]],
    ):
        for result, wanted in zip(classifier.predict(source), expected, strict=True):
            np.testing.assert_allclose(result, wanted, atol=1e-6)
    assert len(classifier.predict(tmp_path).labels) == len(files) * len(signals)
    np.testing.assert_array_equal(classifier.predict([files[0], signals]).labels, np.tile(expected.labels, 2))
    np.savetxt(tmp_path / "column.txt", signals[3])
    for one in (signals[3], signals[3].tolist(), tmp_path / "column.txt"):
        assert classifier.predict(one).labels.tolist() == [expected.labels[3]]


def test_nothing_in_nothing_out(classifier) -> None:
    for nothing in ([], np.empty((0, 40))):
        labels, probabilities = classifier.predict(nothing)
        assert labels.shape == probabilities.shape == (0,)
        assert classifier.predict(nothing, top_k=2).labels.shape == (0, 2)


def test_long_input_goes_through_in_batches(signal_model, signals, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = Classifier(signal_model, batch_size=4)
    sizes = []
    session = classifier.session

    class Watched:
        def run(self, names, feed):
            sizes.append(len(feed["signal"]))
            return session.run(names, feed)

    monkeypatch.setattr(classifier, "session", Watched())
    long = np.tile(signals, (3, 1))
    batches = list(classifier.stream(long))
    assert sizes == [4, 4, 4, 4, 2]
    assert [batch.start for batch in batches] == [0, 4, 8, 12, 16]
    endless = (signals for _ in iter(int, 1))
    assert len(next(classifier.stream(endless)).labels) == 4


def test_threads_share_a_classifier(classifier, signals) -> None:
    expected = classifier.predict(signals).labels
    wrong = []

    def work() -> None:
        for _ in range(20):
            if not np.array_equal(classifier.predict(signals).labels, expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_classifier_says_what_it_is(classifier) -> None:
    assert classifier.class_names == ("zero", "one", "two", "three")
    assert classifier.shape == (40,)
    assert classifier.input_name == "signal"
    assert json.loads(classifier.metadata["scores"])["test"]["accuracy"] == 0.991
    assert "signal (40,) to 4 classes" in repr(classifier)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros(41), r"shape \(40,\) or \(N, 40\), but it has \(41,\)"),
        (np.zeros((2, 39)), r"but it has \(2, 39\)"),
        (np.zeros((2, 2, 40)), r"but it has \(2, 2, 40\)"),
        (np.float32(3), r"but it has \(\)"),
        (np.full((3, 40), np.nan), "sample 0 of the array holds NaN"),
        (np.array([[0.0] * 40, [1e300] * 40]), "sample 1 of the array holds NaN or infinity"),
        (np.zeros(40, complex), "type complex128"),
        (np.array(["1"] * 40), "type <U1"),
        (np.array([None] * 40), "type object"),
        (3, "Expected an array, a file or a list of these, but got 3"),
        (None, "but got None"),
        (b"123", "but got b'123'"),
        ({"a": 1}, "but got {'a': 1}"),
        ([1.0, "x.npy"], "but got 1.0"),
        ("picture.png", "Expected a file of signals"),
        ("nothing.npy", "there is none of that name"),
    ],
)
def test_arrays_that_cannot_be_used(classifier, source, words) -> None:
    with pytest.raises(InputError, match=words) as caught:
        classifier.predict(source)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", b"", "readable file"),
        ("a.npy", b"hello", "readable file"),
        ("a.npy", b"\x93NUMPY\x01\x00", "readable file"),
        ("a.csv", b"", "holds none"),
        ("a.csv", b"heading, only\n", "holds none"),
        ("a.csv", b"1,2,3\n", "line 1 of .* has 3"),
        ("a.csv", b"1," * 40 + b"\nnan," * 1, "line 2 of .* has 1"),
        ("a.csv", b"1," * 39 + b"nan\n", "holds NaN"),
        ("a.csv", b"1," * 39 + b"x\n", "line 1 of .* reads '1,1,"),
        ("a.txt", b"1\n" * 39, "has 39"),
        ("a.txt", b"1\n" * 41, "has 41"),
        ("a.txt", b"1\n1 2\n", "line 2 of .* has 2"),
        ("a.txt", b"\xff\xfe\x00\x01", "readable file"),
    ],
)
def test_files_that_cannot_be_used(classifier, name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        classifier.predict(tmp_path / name)
    assert len(str(caught.value).splitlines()) == 1


def test_objects_in_files_are_never_unpickled(classifier, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    np.save(tmp_path / "trap.npy", np.array([Trap()], object), allow_pickle=True)
    np.savez(tmp_path / "several", a=np.zeros(40))
    (tmp_path / "several.npz").rename(tmp_path / "several.npy")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "trap.npy").read_bytes()[:150])
    for name in ("trap", "several", "cut"):
        with pytest.raises(InputError, match="readable file"):
            classifier.predict(tmp_path / f"{name}.npy")
    assert not (tmp_path / "sprung").exists()


def test_an_empty_folder(classifier, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are none"):
        classifier.predict(tmp_path)


@pytest.mark.parametrize("top_k", [0, -1, 5, 1.5, True])
def test_top_k_out_of_range(classifier, signals, top_k) -> None:
    with pytest.raises(InputError, match="Expected `top_k`"):
        classifier.predict(signals, top_k=top_k)


def test_models_that_cannot_be_used(signal_model: Path, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a model")
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "cut.onnx").write_bytes(signal_model.read_bytes()[:700])
    for name in ("text", "empty", "cut"):
        with pytest.raises(InputError, match="to be an ONNX model") as caught:
            Classifier(tmp_path / f"{name}.onnx")
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(InputError, match="is a folder"):
        Classifier(tmp_path)
    with pytest.raises(InputError, match="there is none named nonsense"):
        Classifier("nonsense")
    with pytest.raises(InputError, match="Expected `threads`"):
        Classifier(signal_model, threads=0)
    with pytest.raises(InputError, match="Expected `batch_size`"):
        Classifier(signal_model, batch_size=0)


def test_weights_in_another_file_are_refused_wherever_it_lies(signal_model: Path, tmp_path: Path, monkeypatch) -> None:
    onnx.save(onnx.load(signal_model), tmp_path / "net.onnx", save_as_external_data=True, location="net.bin",
              size_threshold=100)  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with pytest.raises(InputError, match="keeps them in another file") as caught:
            Classifier("net.onnx")
        assert len(str(caught.value).splitlines()) == 1
        (tmp_path / "net.bin").unlink(missing_ok=True)


def test_models_of_another_kind(tmp_path: Path) -> None:
    from lightconv.deploy import to_onnx

    path = tmp_path / "net.onnx"
    to_onnx(torch.nn.ReLU(), torch.randn(2, 3), path)
    with pytest.raises(InputError, match="maps input to output"):
        Classifier(path)


def test_a_name_finds_a_model_of_the_package(signal_model: Path, tmp_path: Path) -> None:
    for place in ("a/lightconv/deploy", "b/lightconv/deploy"):
        (tmp_path / place).mkdir(parents=True)
        shutil.copy(runtime.__file__, tmp_path / place / "runtime.py")
    for place in ("a/lightconv/exports", "b/exports"):
        (tmp_path / place).mkdir()
        shutil.copy(signal_model, tmp_path / place / "shipped.onnx")
    program = "import runtime; c = runtime.Classifier('shipped'); print(c.path, runtime.shipped_models())"
    for place, model in (("a", "a/lightconv/exports"), ("b", "b/exports")):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path / place / "lightconv/deploy",
            capture_output=True,
            text=True,
        )
        assert done.stdout.startswith(str(tmp_path / model / "shipped.onnx")), done.stderr


def test_the_file_works_by_itself_without_torch_and_onnx(signal_model: Path, signals, tmp_path: Path) -> None:
    shutil.copy(runtime.__file__, tmp_path / "alone.py")
    shutil.copy(signal_model, tmp_path / "model.onnx")
    np.save(tmp_path / "signals.npy", signals)
    program = (
        "import sys; sys.modules.update(torch=None, onnx=None, lightconv=None, PIL=None); import alone;"
        "print(alone.Classifier('model.onnx').predict('signals.npy').labels.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert json.loads(done.stdout) == Classifier(signal_model).predict(signals).labels.tolist(), done.stderr


def test_importing_it_from_the_package_loads_neither() -> None:
    program = (
        "import sys, lightconv.deploy.runtime; "
        "print(sorted({'torch', 'onnx', 'onnxscript', 'lightning', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
