"""The demo's models, its server, and a browser, each started once a session."""

import threading
from collections.abc import Iterator

import pytest

from lightconv.demo.answers import Answers
from lightconv.demo.server import Server


@pytest.fixture(scope="session")
def answers() -> Answers:
    return Answers()


@pytest.fixture(scope="session")
def server(answers: Answers) -> Iterator[Server]:
    with Server(answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
