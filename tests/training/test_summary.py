from pathlib import Path

import pytest
import torch

from lightconv.cli import main
from lightconv.data import score, scoring
from lightconv.deploy import export_onnx
from lightconv.tasks import load


@pytest.fixture(autouse=True)
def few_fresh_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "FRESH", 200)


@pytest.fixture(scope="module")
def model(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    export_onnx(load(run), path)
    return path


def test_both_sides_and_where_things_lie(run: Path, root: Path, model: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["summary", "--run_dir", str(run), "--model", str(model), "--root", str(root)]) == 0
    out = capsys.readouterr().out
    for name, figures in score(load(run), str(root)).items():
        (line,) = [line for line in out.splitlines() if f"{name} samples" in line]
        assert line.split()[-4::2] == [f"{100 * figures['accuracy']:.2f}"] * 2
    for fact in ("tiny, 1,948 parameters", str(model), str(run / "curves.png"), "0 labels differ"):
        assert fact in out


def test_a_model_of_another_run_is_noticed(
    run: Path, root: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    classifier = load(run)
    with torch.no_grad():
        classifier.network[-1].bias += 0.1 * torch.arange(10)
    export_onnx(classifier, tmp_path / "other.onnx")
    status = main(["summary", "--run_dir", str(run), "--model", str(tmp_path / "other.onnx"), "--root", str(root)])
    assert status == 1
    assert "export it again" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--run_dir", "nowhere", "--model", "x.onnx"]])
def test_wrong_use(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["summary", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_model_of_another_task(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["summary", "--run_dir", str(run), "--model", "mnist"]) == 2
    assert "a classifier of mnist1d, but mnist takes image of 28 x 28." in capsys.readouterr().err


def test_not_a_model(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "x.onnx").write_text("no")
    assert main(["summary", "--run_dir", str(run), "--model", str(tmp_path / "x.onnx")]) == 2
    assert "x.onnx" in capsys.readouterr().err
