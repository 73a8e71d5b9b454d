from pathlib import Path

import pytest

from lightconv.data import MNIST1DData


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which MNIST-1D is cached."""
    folder = tmp_path_factory.mktemp("data")
    MNIST1DData(root=str(folder)).prepare_data()
    return folder
