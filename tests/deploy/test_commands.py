"""`lightconv export`, `classify`, `quantize` and `benchmark` as a user meets them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lightconv.cli import main
from lightconv.deploy import commands
from lightconv.deploy.runtime import Classifier
from lightconv.errors import UsageError


@pytest.fixture
def signals(tmp_path: Path) -> Path:
    path = tmp_path / "signals.npy"
    np.save(path, np.random.default_rng(1).normal(size=(3, 40)))
    return path


def test_a_table(signal_model: Path, signals: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands.classify([str(signal_model), str(signals), "--top_k", "2"])
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["file", "index", "label", "probability", "label", "probability"]
    labels, probabilities = Classifier(signal_model).predict(signals, top_k=2)
    names = Classifier(signal_model).class_names
    for i, row in enumerate(rows):
        best, second = labels[i]
        first, last = (f"{chance:.4f}" for chance in probabilities[i])
        assert row.split() == [str(signals), str(i), names[best], first, names[second], last]
    assert len(rows) == 3


def test_json_lines(signal_model: Path, signals: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands.classify([str(signal_model), str(signals), "--json", "--top_k", "4", "--threads", "1"])
    entries = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(entry["file"], entry["index"]) for entry in entries] == [(str(signals), i) for i in range(3)]
    for entry in entries:
        assert sum(option["probability"] for option in entry["top"]) == pytest.approx(1)
        assert {key: entry[key] for key in ("label", "name", "probability")} == entry["top"][0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "MODEL, FILES"),
        (["{model}"], "FILES"),
        (["nonsense", "{signals}"], "there is none named nonsense"),
        (["{signals}", "{signals}"], "to be an ONNX model"),
        (["{model}", "{signals}", "--top_k", "5"], "at most 4"),
        (["{model}", "{signals}", "--top_k", "many"], "invalid int value"),
        (["{model}", "{signals}", "--threads", "0"], "`threads`"),
        (["{model}", "nothing.npy"], "none of that name"),
    ],
)
def test_wrong_use_of_classify(arguments: list[str], words: str, signal_model: Path, signals: Path) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        commands.classify([text.format(model=signal_model, signals=signals) for text in arguments])
    assert len(str(caught.value).splitlines()) == 1


def test_files_that_cannot_be_used_are_left_out_and_named(
    signal_model: Path, signals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "damaged.npy").write_bytes(b"hello")
    np.save(tmp_path / "none.npy", np.empty((0, 40), np.float32))
    (tmp_path / ".hidden.npy").write_bytes(b"hello")
    (tmp_path / "empty").mkdir()
    places = [tmp_path / "nothing.npy", tmp_path, tmp_path / "empty", signals]
    assert main(["classify", str(signal_model), *map(str, places)]) == 2
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["file", *[str(signals)] * 6]
    assert len({line.index("  ", len(str(tmp_path))) for line in out.splitlines()[1:]}) == 1
    assert len(err.splitlines()) == 4
    assert all(name in err for name in ("nothing.npy", "damaged.npy", "none.npy", "empty"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--ckpt_path, --output"),
        (["--ckpt_path", "nothing.ckpt", "--output", "{folder}/net.txt"], "name of an .onnx file"),
        (["--ckpt_path", "nothing.ckpt", "--output", "{folder}/nowhere/net.onnx"], "create it first"),
        (["--ckpt_path", "nothing.ckpt", "--output", "{folder}/net.onnx"], "nothing.ckpt"),
    ],
)
def test_wrong_use_of_export(arguments: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        commands.export([text.format(folder=tmp_path) for text in arguments])
    assert len(str(caught.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_classify_loads_neither_torch_nor_anything_heavy(signal_model: Path, signals: Path) -> None:
    program = (
        "import sys; from lightconv.deploy.commands import classify; classify(sys.argv[1:]);"
        "sys.exit(bool({'torch', 'onnx', 'lightning', 'PIL'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program, signal_model, signals], check=True, capture_output=True)


def test_a_reader_that_stops_early_is_no_error(signal_model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "many.npy", np.zeros((20_000, 40), np.float32))
    program = "import sys; from lightconv.cli import main; sys.exit(main(['classify', *sys.argv[1:]]))"
    process = subprocess.Popen(
        [sys.executable, "-c", program, signal_model, tmp_path / "many.npy"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0


@pytest.mark.parametrize("command", ["export", "classify", "quantize", "benchmark"])
def test_wrong_use_is_one_sentence_and_status_2(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--nonsense"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("lightconv: ")
    assert f"`lightconv {command} --help`" in err
    assert len(err.splitlines()) == 1


def test_the_option_that_was_meant_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", "mnist", "a.png", "--topk", "2"]) == 2
    assert capsys.readouterr().err == "lightconv: unrecognized arguments: --topk 2; did you mean `--top_k`?\n"


def test_quantize_and_benchmark(signal_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signals = np.random.default_rng(1).normal(size=(40, 40))
    np.save(tmp_path / "signals.npy", signals)
    np.savetxt(tmp_path / "labels.txt", Classifier(signal_model).predict(signals).labels, fmt="%d")
    arguments = [str(signal_model), "--output", str(tmp_path / "small.onnx"), "--data", str(tmp_path / "signals.npy")]
    commands.quantize([*arguments, "--labels", str(tmp_path / "labels.txt"), "--precision", "float16"])
    printed = capsys.readouterr().out
    assert "accuracy  100.00 % -> " in printed
    assert printed.splitlines()[-1] == str(tmp_path / "small.onnx")
    commands.benchmark([str(tmp_path / "small.onnx"), "--batch_sizes", "1", "2"])
    assert "batch of 2" in capsys.readouterr().out
    with pytest.raises(UsageError, match="only together with --data"):
        commands.quantize([*arguments[:3], "--labels", str(tmp_path / "labels.txt")])
    with pytest.raises(UsageError, match="to name the data"):
        commands.quantize(arguments[:3])
    with pytest.raises(UsageError, match="cannot be read as one"):
        commands.quantize([*arguments, "--labels", str(tmp_path / "nothing.npy")])
    with pytest.raises(UsageError, match="Expected `labels`"):
        commands.quantize([*arguments, "--labels", str(tmp_path / "signals.npy")])
    with pytest.raises(UsageError, match="invalid choice"):
        commands.quantize([*arguments, "--precision", "int2"])
    with pytest.raises(UsageError, match="positive whole numbers"):
        commands.benchmark([str(signal_model), "--batch_sizes", "0"])
