"""The dispatcher."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lightconv
from lightconv import cli
from lightconv.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]


def loaded(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after some code."""
    code = f"{code}\nimport sys; sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stderr.split()}


HEAVY = {"torch", "lightning", "numpy", "onnx", "onnxruntime", "matplotlib", "rich", "jsonargparse", "yaml", "mnist1d"}


@pytest.mark.parametrize("argument", ["--help", "--version", "fti"])
def test_answers_without_loading_anything_heavy(argument: str):
    assert not HEAVY & loaded(f"from lightconv.cli import main; main([{argument!r}])")


def test_importing_training_data_and_tasks_is_lazy():
    assert not HEAVY & loaded("import lightconv.errors, lightconv.cli")


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_lists_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lightconv {lightconv.__version__}\n"


@pytest.mark.parametrize(("typed", "said"), [("fti", "did you mean 'fit'?"), ("xyzzy", "lightconv --help")])
def test_unknown_command(typed: str, said: str, capsys: pytest.CaptureFixture[str]):
    assert main([typed]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]):
    assert main([command, "--help"]) == 0
    assert "usage:" in capsys.readouterr().out


def test_print_config(capsys: pytest.CaptureFixture[str]):
    assert main(["fit", "--config", "mnist1d", "--model.network", "tiny", "--print_config"]) == 0
    out = capsys.readouterr().out
    assert "network: tiny" in out
    assert "max_epochs: 60" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "--ckpt_path", "nowhere", "--output", "x.onnx"],
        ["export"],
        ["classify", "nowhere.onnx", "x.npy"],
    ],
)
def test_wrong_use_of_the_other_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_interrupt_while_a_finaliser_runs_is_not_lost(monkeypatch: pytest.MonkeyPatch):
    class Finalised:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def work(arguments: list[str]) -> None:
        Finalised()
        for _ in range(200):
            time.sleep(0.05)

    # a program in the background may have been started deaf
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    hook = sys.unraisablehook
    monkeypatch.setattr(cli, "_dispatch", work)
    try:
        assert main(["fit"]) == 130
    finally:
        signal.signal(signal.SIGINT, handler)
    assert sys.unraisablehook is hook


def test_the_front_door_of_a_checkout():
    done = subprocess.run([sys.executable, ROOT / "cli.py", "fti"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "did you mean" in done.stderr
