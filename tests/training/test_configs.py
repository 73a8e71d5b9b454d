from pathlib import Path

import pytest
import yaml

from lightconv.errors import UsageError
from lightconv.training.complaints import sentence
from lightconv.training.configs import check_config, config_arguments, config_folder, find_config


def test_a_bare_name_finds_a_shipped_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("mnist1d") == config_folder() / "mnist1d.yaml"


def test_a_file_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("mnist1d").write_text("a: 1")
    assert find_config("mnist1d") == Path("mnist1d")
    Path("mnist1d").unlink()
    Path("mnist1d").mkdir()
    assert find_config("mnist1d") == config_folder() / "mnist1d.yaml"


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(UsageError, match=r"mnist1d_book"):
        find_config("xyzzy")


@pytest.mark.parametrize("form", ["--config {}", "--config={}", "-c {}"])
def test_every_way_to_write_it(form: str):
    arguments, paths = config_arguments([*form.format("mnist1d").split(), "--trainer.max_epochs", "3"])
    path = str(config_folder() / "mnist1d.yaml")
    assert arguments == [*form.format(path).split(), "--trainer.max_epochs", "3"]
    assert [str(p) for p in paths] == [path]


def test_shipped_configurations_hold_no_defaults_of_the_machine():
    for path in config_folder().glob("*.yaml"):
        config = yaml.safe_load(path.read_text())
        assert "run_dir" not in config
        assert "root" not in config.get("data", {"init_args": {}})["init_args"]


@pytest.mark.parametrize(
    "message",
    ["", "one\n  two\n   three", "x" * 1000, 'Parser key "a":\n  odd', "Expected a <class 'int'>. Got value: 3"],
)
def test_any_message_becomes_one_short_line(message: str):
    result = sentence(message)
    assert "\n" not in result
    assert len(result) <= 300


def test_classes_from_elsewhere_are_named(tmp_path: Path):
    path = tmp_path / "c.yaml"
    path.write_text("""
model: {class_path: MNIST1DClassifier}
data: &data {class_path: lightconv.data.MNIST1DData, init_args: {}}
trainer:
  callbacks:
  - class_path: elsewhere.Callback
  - {class_path: lightning.pytorch.callbacks.Timer}
  - &many [*data, *data]
""")
    assert check_config(path, {"trainer"}, {"model", "data"}) == ["elsewhere.Callback"]
