"""Wrong use: one sentence on stderr, exit status 2, no traceback."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from lightconv.cli import main
from lightconv.training.configs import config_folder

Command = Callable[..., int]


def complaint(capsys: pytest.CaptureFixture[str], status: int) -> str:
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("lightconv: ")
    assert len(line) < 400
    return line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--model.networks light", "did you mean `model.network`?"),
        ("--model.network huge", "Expected `network` to be one of book, light, tiny, or a function in a file of yours"),
        ("--model.learning_rate abc", "Expected `model.learning_rate` to be a number, but got abc."),
        ("--model.learning_rate=-1", "Expected `learning_rate` to be positive"),
        ("--trainer.max_epoch 3", "did you mean `trainer.max_epochs`?"),
        ("--trainer.max_epochs many", "Expected `trainer.max_epochs` to be an integer or null, but got many."),
        ("--trainer.accelerator gpuu", "gpuu"),
        ("--trainer.callbacks Foo", "Expected `trainer.callbacks` to be the name of a class, but got Foo."),
        ("--data Foo", "Expected `data` to be the name of a class, but got Foo."),
        ("--data.val_split 2", "Expected `val_split` to lie in 0 <= val_split < 1, but got 2.0."),
        ("--data.batch_size x", "Expected `data.batch_size` to be an integer, but got x."),
        ("--threads 0", "Expected `threads` to be a positive integer or null, but got 0."),
        ("--seed_everything x", "Expected `seed_everything`"),
        ("--seed_everything=-1", "Expected `seed_everything` to lie between 0 and"),
        ("--model.lr 1", "Expected an option that `model` has, but got `model.lr`; `--print_config` shows"),
        ("--data mine.Scans", "mine.Scans cannot be imported; a file in this folder can with `PYTHONPATH=.`"),
        ("--bogus 1", "bogus"),
        ("stray", "stray"),
        ("--config", "--config"),
        ("--config mnist1", "did you mean `mnist1d`?"),
        ("--config .", "'.'"),
        ("--ckpt_path nowhere.ckpt", "nowhere.ckpt"),
        ("--ckpt_path .", "no best.ckpt"),
    ],
)
def test_arguments(arguments: str, said: str, command: Command, capsys: pytest.CaptureFixture[str]):
    assert said in complaint(capsys, command("fit", *arguments.split()))


def change(code: str) -> str:
    config = yaml.safe_load((config_folder() / "mnist1d.yaml").read_text())
    exec(code, {"c": config})
    return yaml.safe_dump(config)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("c['modle'] = {}", "did you mean `model`?"),
        ("c['modle'] = {'a': 1}", "did you mean `model`?"),
        ("c['trainer'] = 3", "Expected `trainer`"),
        ("c['trainer']['max_epoch'] = 3", "did you mean `trainer.max_epochs`?"),
        ("c['trainer']['max_epochs'] = [3]", "Expected `trainer.max_epochs` to be an integer"),
        ("c['model'] = 3", "Expected `model` to hold `class_path`"),
        ("c['model']['class_path'] = 'torch.nn.Linear'", "Expected `model` to hold `class_path`"),
        ("c['model']['init_argss'] = {}", "Expected `model` to hold `class_path`"),
        ("c['model']['init_args'] = 3", "Expected `model` to hold `class_path`"),
        ("c['model']['init_args']['netwrok'] = 'x'", "did you mean `model.network`?"),
        ("c['model']['init_args']['learning_rate'] = 'x'", "Expected `model.learning_rate` to be a number"),
        ("c['data']['init_args']['batch_size'] = 0", "Expected `batch_size` to be a positive integer"),
        ("del c['model']", "Expected `model` to be given"),
        ("del c['data']", "Expected `data` to be given"),
        ("del c['data']['class_path']", "Expected `data` to be given"),
    ],
)
def test_configurations(code: str, said: str, command: Command, capsys: pytest.CaptureFixture[str]):
    Path("x.yaml").write_text(change(code))
    assert said in complaint(capsys, main(["fit", "--config", "x.yaml"]))


@pytest.mark.parametrize("content", [b"a: [1,\nb: }", b"only text", b"", b"\xff\xfe\x00"])
def test_files_that_are_no_configuration(content: bytes, command: Command, capsys: pytest.CaptureFixture[str]):
    Path("x.yaml").write_bytes(content)
    assert "'x.yaml'" in complaint(capsys, main(["fit", "--config", "x.yaml"]))


def test_no_configuration(command: Command, capsys: pytest.CaptureFixture[str]):
    assert "--config" in complaint(capsys, main(["fit"]))
    assert "`--config mnist1d`" in complaint(capsys, main(["fit", "mnist1d"]))


def test_folders_that_cannot_be_written(command: Command, capsys: pytest.CaptureFixture[str]):
    Path("file").touch()
    assert "'file/run'" in complaint(capsys, command("fit", "--run_dir", "file/run"))


def test_data_folder_that_cannot_be_written(command: Command, capsys: pytest.CaptureFixture[str]):
    Path("file").touch()
    assert command("fit", "--data.root", "file/data", "--run_dir", "x") == 2
    assert "'file/data'" in capsys.readouterr().err


def test_an_untrained_run(command: Command, capsys: pytest.CaptureFixture[str]):
    assert "no best.ckpt" in complaint(capsys, command("test", "--run_dir", "x"))


def test_damaged_and_foreign_checkpoints(run: Path, command: Command, capsys: pytest.CaptureFixture[str]):
    Path("x.ckpt").write_bytes((run / "best.ckpt").read_bytes()[:3000])
    for name in ("fit", "test"):
        assert "damaged" in complaint(capsys, command(name, "--ckpt_path", "x.ckpt"))
    torch.save({"state_dict": {}}, "x.ckpt")
    assert "something else" in complaint(capsys, command("test", "--ckpt_path", "x.ckpt"))


def test_a_checkpoint_of_another_task(run: Path, capsys: pytest.CaptureFixture[str]):
    status = main(["test", "--config", "mnist", "--data.variant", "digits", "--ckpt_path", str(run)])
    assert "Expected a checkpoint of mnist, " in complaint(capsys, status)


def test_going_on_with_another_network(run: Path, command: Command, capsys: pytest.CaptureFixture[str]):
    assert "network book" in complaint(capsys, command("fit", "--model.network", "book", "--ckpt_path", str(run)))


def test_debug_shows_the_traceback(command: Command, capsys: pytest.CaptureFixture[str]):
    assert command("test", "--run_dir", "x", "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_failure_while_running(command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    from lightconv.tasks import MNIST1DClassifier

    def fail(self: object, batch: object, batch_idx: int) -> None:
        raise RuntimeError("the machine\nis tired")

    monkeypatch.setattr(MNIST1DClassifier, "training_step", fail)
    assert command("fit", "--run_dir", "x") == 1
    assert capsys.readouterr().err == "lightconv: RuntimeError: the machine is tired\n"
