"""fit, and what it leaves in the run's folder."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from lightconv.cli import main
from lightconv.tasks import MNIST1DClassifier, load
from lightconv.training import evaluation

Command = Callable[..., int]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def same_weights(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_and_leaves_one_complete_folder(run: Path):
    left = {file.name for file in run.iterdir()} - set(evaluation.FILES)  # of which other tests leave some
    assert left == {"best.ckpt", "config.yaml", "curves.png", "last.ckpt", "metrics.csv"}
    table = rows(run)
    assert [row["epoch"] for row in table] == list("123456")
    accuracies = [float(row["val_accuracy"]) for row in table]
    assert max(accuracies) > 0.85
    assert float(table[-1]["train_loss"]) < float(table[0]["train_loss"])
    best = load(run)
    assert best.provenance["val_accuracy"] == pytest.approx(max(accuracies))
    assert best.provenance["epochs"] == 1 + max(i for i, a in enumerate(accuracies) if a == max(accuracies))
    assert load(run / "last.ckpt").provenance["epochs"] == 6


def test_curves_are_a_picture(run: Path):
    picture = Image.open(run / "curves.png").convert("RGB")
    assert min(picture.size) > 400
    colours = {colour for _, colour in picture.getcolors(maxcolors=10**6)}
    assert {(0x2A, 0x6F, 0xB0), (0xD9, 0x60, 0x1A)} <= colours, "both lines are there"


def test_config_repeats_the_run(run: Path, command: Command):
    again = Path("again")
    written = yaml.safe_load((run / "config.yaml").read_text())
    assert written["model"]["init_args"]["network"] == "tiny"
    assert written["trainer"]["max_epochs"] == 6
    assert main(["fit", "--config", str(run / "config.yaml"), "--run_dir", str(again)]) == 0
    assert (again / "metrics.csv").read_bytes() == (run / "metrics.csv").read_bytes()
    assert same_weights(again / "last.ckpt", run / "last.ckpt")


def test_the_seed_decides(command: Command):
    for folder, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        assert command("fit", "--trainer.max_epochs", "2", "--seed_everything", seed, "--run_dir", folder) == 0
    assert (Path("a") / "metrics.csv").read_bytes() == (Path("b") / "metrics.csv").read_bytes()
    assert same_weights(Path("a/last.ckpt"), Path("b/last.ckpt"))
    assert not same_weights(Path("a/last.ckpt"), Path("c/last.ckpt"))


@pytest.mark.parametrize(
    "recipe", [[], ["--model.optimizer", "sgd", "--model.schedule", "halving", "--model.halve_every", "2"]]
)
def test_a_resumed_run_equals_an_uninterrupted_one(
    recipe: list[str], command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    options = ["--trainer.max_epochs", "4", *recipe]
    assert command("fit", *options, "--run_dir", "straight") == 0

    def interrupt(self: MNIST1DClassifier, batch: object, batch_idx: int) -> None:
        if (self.trainer.current_epoch, batch_idx) == (2, 3):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MNIST1DClassifier, "on_train_batch_start", interrupt)
        assert command("fit", *options, "--run_dir", "stopped") == 130
    assert "--ckpt_path last" in capsys.readouterr().out
    assert [row["epoch"] for row in rows(Path("stopped"))] == ["1", "2"]
    assert command("fit", *options, "--run_dir", "stopped", "--ckpt_path", "last") == 0
    for name in ("best.ckpt", "last.ckpt"):
        assert same_weights(Path("straight", name), Path("stopped", name))
    for name in ("metrics.csv", "curves.png"):
        assert Path("straight", name).read_bytes() == Path("stopped", name).read_bytes()
    assert yaml.safe_load(Path("stopped/config.yaml").read_text())["ckpt_path"] is None


SHORT = ["--data.fraction", "0.08", "--trainer.max_epochs", "2"]  # 3 steps an epoch


@pytest.fixture(scope="module")
def two_epochs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of 6 steps."""
    folder = tmp_path_factory.mktemp("short")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTCONV_DATA", str(root))
        options = ["--config", "mnist1d", "--model.network", "tiny", "--trainer.accelerator", "cpu"]
        assert main(["fit", *options, *SHORT, "--run_dir", str(folder)]) == 0
    return folder


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (["--model.optimizer", "sgd"], "`model.optimizer` that it began with, 'adamw', but got 'sgd'"),
        (["--model.network_options", "{channels: 4}"], "`model.network_options`"),
        (["--data.seed", "3"], "`data.seed`"),
        (["--seed_everything", "3"], "`seed_everything` that it began with, 1, but got 3"),
        (["--data.batch_size", "50", "--trainer.max_epochs", "3"], "but the training has 18"),
        (["--trainer.max_epochs", "4"], "6 steps that the one-cycle schedule began with, but the training has 12"),
    ],
)
def test_going_on_otherwise_is_refused(
    changed: list[str], named: str, two_epochs: Path, command: Command, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(two_epochs, "x")
    before = {file.name: file.read_bytes() for file in Path("x").iterdir()}
    assert command("fit", *SHORT, "--run_dir", "x", "--ckpt_path", "last", *changed) == 2
    said = capsys.readouterr().err
    assert named in said
    assert len(said.splitlines()) == 1
    assert {file.name: file.read_bytes() for file in Path("x").iterdir()} == before


def test_more_epochs_where_the_schedule_allows_it(command: Command):
    options = ["--model.schedule", "constant", "--data.fraction", "0.08", "--run_dir", "x"]
    assert command("fit", *options, "--trainer.max_epochs", "1") == 0
    assert command("fit", *options, "--trainer.max_epochs", "2", "--ckpt_path", "last") == 0
    assert yaml.safe_load(Path("x/config.yaml").read_text())["trainer"]["max_epochs"] == 2
    assert [row["epoch"] for row in rows(Path("x"))] == ["1", "2"]


def test_an_interrupted_first_epoch_promises_nothing(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupt(self: MNIST1DClassifier, batch: object, batch_idx: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MNIST1DClassifier, "on_train_batch_start", interrupt)
    assert command("fit", "--run_dir", "x") == 130
    assert "--ckpt_path" not in capsys.readouterr().out


def test_going_on_with_what_has_not_begun(command: Command, capsys: pytest.CaptureFixture[str]):
    arguments = ["--trainer.max_epochs", "1", "--run_dir", "x", "--ckpt_path", "last"]
    assert command("fit", *arguments) == 0
    assert capsys.readouterr().out.startswith("There is no checkpoint in x yet to go on from")
    first = Path("x/metrics.csv").read_bytes()
    assert command("fit", *arguments) == 0
    assert "no checkpoint" not in capsys.readouterr().out
    assert Path("x/metrics.csv").read_bytes() == first


def test_an_earlier_run_is_set_aside(command: Command, capsys: pytest.CaptureFixture[str]):
    folder = Path("x")
    kept = []
    for seed in ("1", "2", "3"):
        assert command("fit", "--trainer.max_epochs", "1", "--seed_everything", seed, "--run_dir", "x") == 0
        kept.append((folder / "last.ckpt").read_bytes())
    assert "earlier-2" in capsys.readouterr().out
    assert (folder / "earlier-1" / "last.ckpt").read_bytes() == kept[0]
    assert (folder / "earlier-2" / "last.ckpt").read_bytes() == kept[1]
    assert len(rows(folder / "earlier-1")) == len(rows(folder)) == 1
    assert command("test", "--run_dir", "x/earlier-1") == 0


def test_without_validation_the_last_epoch_is_the_best(command: Command, capsys: pytest.CaptureFixture[str]):
    arguments = ["--trainer.max_epochs", "2", "--data.val_split", "0", "--run_dir", "x"]
    assert command("fit", *arguments) == 0
    assert same_weights(Path("x/best.ckpt"), Path("x/last.ckpt"))
    assert "val_accuracy" not in rows(Path("x"))[0]
    capsys.readouterr()
    assert command("validate", *arguments) == 2
    assert "val_split" in capsys.readouterr().err


def test_a_last_batch_of_one(command: Command):
    # 1,000 signals, of which 199 are left
    arguments = ["--data.val_split", "0.801", "--data.batch_size", "99", "--trainer.max_epochs", "1"]
    assert command("fit", *arguments, "--run_dir", "x") == 0


def test_batches_of_one(command: Command, capsys: pytest.CaptureFixture[str]):
    arguments = ["--data.batch_size", "1", "--data.variant", "digits", "--run_dir", "x"]
    assert command("fit", *arguments, config="mnist") == 2
    assert "`data.batch_size`" in capsys.readouterr().err


def test_nothing_ugly_is_printed(command: Command, capfd: pytest.CaptureFixture[str]):
    assert command("fit", "--trainer.max_epochs", "2", "--run_dir", "x") == 0
    out, err = capfd.readouterr()
    assert err == ""
    first, peak, *epochs, last = out.splitlines()
    assert first == "MNIST1DClassifier, network tiny: 1,948 parameters, on MNIST-1D, in x"
    assert peak.startswith("Peak of a training step, predicted: ")
    assert len(epochs) == 2
    assert all(line.startswith(f"epoch {i + 1}/2") for i, line in enumerate(epochs))
    assert all("accuracy" in line for line in epochs)
    assert last.startswith("Best epoch")


def test_default_folder_and_bare_fast_dev_run(command: Command):
    assert command("fit", "--trainer.fast_dev_run", "true") == 0
    assert not list(Path("runs/mnist1d-tiny").iterdir())


def test_switches(command: Command, capsys: pytest.CaptureFixture[str]):
    arguments = ["--trainer.enable_checkpointing", "false", "--trainer.enable_progress_bar", "false"]
    assert command("fit", "--trainer.max_epochs", "1", "--run_dir", "x", *arguments) == 0
    assert not list(Path("x").glob("*.ckpt"))
    assert "epoch" not in capsys.readouterr().out


@pytest.mark.long
def test_book_reaches_what_the_notebook_reaches(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from lightconv.data import score

    monkeypatch.setenv("LIGHTCONV_DATA", str(root))
    assert main(["fit", "--config", "mnist1d_book", "--run_dir", str(tmp_path)]) == 0
    scores = score(load(tmp_path), str(root))
    assert all(0.89 < figures["accuracy"] < 0.935 for figures in scores.values())


@pytest.mark.long
def test_light_reaches_what_the_readme_says(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from lightconv.data import score

    monkeypatch.setenv("LIGHTCONV_DATA", str(root))
    assert main(["fit", "--config", "mnist1d", "--run_dir", str(tmp_path)]) == 0
    scores = score(load(tmp_path), str(root))
    assert all(figures["accuracy"] > 0.985 for figures in scores.values())
