import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from small_experiment import CONFIG

from lightconv.cli import main
from lightconv.data import MNIST1DData


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    """Training sets the number of threads and remembers the seed in the environment."""
    threads, seed = torch.get_num_threads(), os.environ.get("PL_GLOBAL_SEED")
    yield
    torch.set_num_threads(threads)
    os.environ.pop("PL_GLOBAL_SEED", None)
    if seed is not None:
        os.environ["PL_GLOBAL_SEED"] = seed


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which MNIST-1D is cached."""
    folder = tmp_path_factory.mktemp("data")
    MNIST1DData(root=str(folder)).prepare_data()
    return folder


@pytest.fixture
def command(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs `lightconv experiment` in an empty folder with the small configuration; returns the exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTCONV_DATA", str(root))
    Path("small.yaml").write_text(CONFIG)

    def run(*arguments: str, config: str = "small.yaml") -> int:
        return main(["experiment", "--config", config, *arguments])

    return run
