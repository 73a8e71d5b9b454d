"""Each shipped configuration, from fit to predict, in little; and in mixed precision."""

import csv
import json
from pathlib import Path

import pytest
import yaml

from lightconv.cli import main
from lightconv.training.configs import config_folder

CONFIGS = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted(config_folder().glob("*.yaml"))
    if "trainer" in yaml.safe_load(path.read_text())
}
HERE = ["--threads", "1", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
FEW = {
    "MNIST1DData": ["--data.fraction", "0.2"],
    "MNISTData": ["--data.variant", "digits", "--data.fraction", "0.3"],
    "MNIST100Data": ["--data.variant", "digits", "--data.fraction", "0.04"],
}
LIMITS = ["--trainer.limit_test_batches", "2", "--trainer.limit_predict_batches", "2", "--data.batch_size", "64"]


@pytest.fixture(autouse=True)
def place(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTCONV_DATA", str(root))


def run(command: str, name: str, *arguments: str) -> None:
    few = FEW[CONFIGS[name]["data"]["class_path"]]
    options = ["--config", name, *HERE, *few, "--data.val_split", "0.2", "--trainer.max_epochs", "1"]
    options += ["--trainer.precision", "32-true"]
    assert main([command, *options, *LIMITS, *arguments]) == 0


def figures(folder: str) -> dict[str, float]:
    with open(f"{folder}/metrics.csv") as file:
        return {name: float(value) for name, value in list(csv.DictReader(file))[-1].items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_from_fit_to_predict(name: str):
    run("fit", name)
    (folder,) = map(str, Path("runs").iterdir())
    for command in ("validate", "test", "predict"):
        run(command, name)
    validated = json.loads(Path(folder, "validation.json").read_text())
    assert validated["accuracy"] == pytest.approx(figures(folder)["val_accuracy"])
    tested = json.loads(Path(folder, "test.json").read_text())
    with Path(folder, "predictions.csv").open() as file:
        table = list(csv.DictReader(file))
    assert tested["samples"] == len(table) == 2 * 64
    assert tested["accuracy"] == pytest.approx(sum(row["label"] == row["predicted"] for row in table) / len(table))

    run("fit", name, "--trainer.precision", "bf16-mixed", "--run_dir", "mixed")
    mixed, full = figures("mixed"), figures(folder)
    assert mixed["train_loss"] == pytest.approx(full["train_loss"], rel=0.03)
    assert mixed != full, "it is another arithmetic"


# At most what three seeds lost to it, and a margin; accuracies after a few epochs on little data.
@pytest.mark.parametrize(
    ("name", "options", "least"),
    [
        ("mnist1d", ["--data.fraction", "0.5", "--trainer.max_epochs", "12"], 0.80),
        ("mnist", ["--data.variant", "digits", "--trainer.max_epochs", "4"], 0.95),
        ("mnist100", ["--data.variant", "digits", "--data.fraction", "0.3", "--trainer.max_epochs", "3"], 0.85),
    ],
)
def test_accuracy_is_the_same_in_mixed_precision(
    name: str, options: list[str], least: float, capsys: pytest.CaptureFixture[str]
):
    accuracy = {}
    for precision in ("auto", "bf16-mixed"):
        arguments = ["--config", name, "--model.network", "tiny", *HERE, *options, "--run_dir", precision]
        assert main(["fit", *arguments, "--trainer.precision", precision]) == 0
        assert main(["test", *arguments, "--trainer.precision", precision]) == 0
        accuracy[precision] = json.loads(Path(precision, "test.json").read_text())["accuracy"]
    assert yaml.safe_load(Path("auto/config.yaml").read_text())["trainer"]["precision"] == "32-true"
    assert min(accuracy.values()) > least
    assert accuracy["bf16-mixed"] == pytest.approx(accuracy["auto"], abs=0.03)


def parse(name: str, capsys: pytest.CaptureFixture[str]) -> dict:
    assert main(["fit", "--config", name, "--print_config"]) == 0
    return yaml.safe_load(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("name", "network", "recipe", "data", "epochs"),
    [
        (
            "mnist1d_book",
            "book",
            {"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.9, "schedule": "halving", "halve_every": 20},
            {"batch_size": 100, "val_split": 0.0, "fraction": 1.0},
            100,
        ),
        (
            "mnist_book",
            "book",
            {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.5, "schedule": "constant"},
            {"batch_size": 64, "val_split": 0.0, "fraction": 1.0, "shift": 0},
            3,
        ),
        *(
            (
                f"mnist100_{network}",
                network,
                {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.5, "schedule": "constant"},
                {"batch_size": 64, "val_split": 0.0, "fraction": 0.1, "shift": 0},
                5,
            )
            for network in ("original", "v1", "v2")
        ),
    ],
)
def test_recipes_of_the_notebooks_and_the_report(
    name: str, network: str, recipe: dict, data: dict, epochs: int, capsys: pytest.CaptureFixture[str]
):
    config = parse(name, capsys)
    model = config["model"]["init_args"]
    wanted = {"network": network, "weight_decay": 0.0, "network_options": None, **recipe}
    assert {name: model[name] for name in wanted} == wanted
    given = config["data"]["init_args"]
    assert {name: given[name] for name in data} == data
    assert config["trainer"]["max_epochs"] == epochs
    assert config["trainer"]["precision"] == "auto"
