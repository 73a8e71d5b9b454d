from collections.abc import Callable
from pathlib import Path

import pytest

from lightconv.cli import main

SMALL = ["--model.network", "tiny", "--trainer.accelerator", "cpu", "--data.fraction", "0.25"]


@pytest.fixture
def command(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a command with a shipped configuration on little data; returns the exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTCONV_DATA", str(root))

    def run(name: str, *arguments: str, config: str = "mnist1d") -> int:
        return main([name, "--config", config, *SMALL, *arguments])

    return run


@pytest.fixture(scope="session")
def run(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of 6 epochs."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTCONV_DATA", str(root))
        options = ["--data.fraction", "1.0", "--trainer.max_epochs", "6", "--run_dir", str(folder)]
        assert main(["fit", "--config", "mnist1d", *SMALL, *options]) == 0
    return folder
