"""The configurations of the picture tasks, and runs on data that need no files."""

import re
from pathlib import Path

import pytest
import yaml

from lightconv.cli import main
from lightconv.tasks import MNIST100Classifier, MNISTClassifier
from lightconv.training.configs import config_folder

CONFIGS = sorted(path.stem for path in config_folder().glob("mnist*.yaml") if not path.stem.startswith("mnist1d"))


def test_there_is_one_for_each_network_of_the_notebook_and_the_report_and_for_ours():
    networks = {}
    for name in CONFIGS:
        model = yaml.safe_load((config_folder() / f"{name}.yaml").read_text())["model"]
        networks.setdefault(model["class_path"], set()).add(model["init_args"]["network"])
    assert networks == {
        "MNISTClassifier": set(MNISTClassifier.networks) - {"tiny"},
        "MNIST100Classifier": set(MNIST100Classifier.networks) - {"tiny"},
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations_parse(name: str, capsys: pytest.CaptureFixture[str]):
    assert main(["fit", "--config", name, "--print_config"]) == 0
    given = yaml.safe_load((config_folder() / f"{name}.yaml").read_text())
    parsed = yaml.safe_load(capsys.readouterr().out)
    for section in ("model", "data"):
        assert given[section]["init_args"].items() <= parsed[section]["init_args"].items()
    for callback, found in zip(
        given["trainer"].pop("callbacks", []), parsed["trainer"]["callbacks"] or [], strict=True
    ):
        assert found["class_path"].endswith(f".{callback['class_path']}")
        assert callback["init_args"].items() <= found["init_args"].items()
    assert given["trainer"].items() <= parsed["trainer"].items()


def run(*arguments: str) -> int:
    return main([*arguments, "--threads", "1", "--trainer.accelerator", "cpu"])


@pytest.mark.parametrize("name", ["mnist", "mnist100"])
def test_fit_and_test_without_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    options = ["--config", name, "--model.network", "tiny", "--data.variant", "digits"]
    few = {"mnist": "1.0", "mnist100": "0.2"}[name]
    assert run("fit", *options, "--data.fraction", few, "--trainer.max_epochs", "1") == 0
    assert "not MNIST" in capsys.readouterr().out.splitlines()[0]
    assert run("test", *options) == 0
    out = capsys.readouterr().out
    assert "not MNIST" in out
    chance = {"mnist": 10, "mnist100": 1}[name]
    assert float(re.search(r"accuracy ([\d.]+) %", out)[1]) > 5 * chance
    assert [path.name for path in Path("runs").iterdir()] == [f"{name}-tiny"]
