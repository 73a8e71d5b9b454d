"""Shared by all tests: the option that says who is tested, how hypothesis draws, the process as it was, signals."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from contract import Subject, subject
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

settings.register_profile(
    "here", deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck), print_blob=True
)
settings.load_profile("here")
if folder := os.environ.get("LIGHTCONV_FUZZ"):  # failures are kept there, and tried first
    settings.register_profile("fuzz", settings(derandomize=False, database=DirectoryBasedExampleDatabase(folder)))
    settings.load_profile("fuzz")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--subject",
        default="lightconv",
        help="whose functions and Modules the contract tests run: lightconv, or torch to test the tests",
    )


def pytest_collection_finish() -> None:
    """The tests themselves stay to the end: a search for garbage, for which a fit asks often, need not visit them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", name="subject")
def the_subject(request: pytest.FixtureRequest) -> Subject:
    return subject(request.config.getoption("--subject"))


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    """Training sets the number of threads and remembers the seed in the environment."""
    threads, seed = torch.get_num_threads(), os.environ.get("PL_GLOBAL_SEED")
    yield
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    os.environ.pop("PL_GLOBAL_SEED", None)
    if seed is not None:
        os.environ["PL_GLOBAL_SEED"] = seed


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which MNIST-1D is cached."""
    from lightconv.data import MNIST1DData

    folder = tmp_path_factory.mktemp("data")
    MNIST1DData(root=str(folder)).prepare_data()
    return folder
