"""Shared by all tests: the option that says who is tested, one thread, and how hypothesis draws."""

import os

import pytest
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


@pytest.fixture(scope="session", name="subject")
def the_subject(request: pytest.FixtureRequest) -> Subject:
    return subject(request.config.getoption("--subject"))
