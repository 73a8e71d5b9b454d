from collections.abc import Callable
from pathlib import Path

import pytest
from small_experiment import CONFIG

from lightconv.cli import main


@pytest.fixture
def command(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs `lightconv experiment` in an empty folder with the small configuration; returns the exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTCONV_DATA", str(root))
    Path("small.yaml").write_text(CONFIG)

    def run(*arguments: str, config: str = "small.yaml") -> int:
        return main(["experiment", "--config", config, *arguments])

    return run
