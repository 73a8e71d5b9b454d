"""Slow, silent and deaf visitors, and many of them: they are sent away, and others are answered meanwhile."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from lightconv.demo.answers import MOST_POINTS, MOST_STROKES, Answers
from lightconv.demo.server import Server

GET = b"GET /models HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /signal HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
DRAWING = POST.replace(b"signal", b"drawing")
CLOSING = DRAWING.replace(b"Content-Type", b"Connection: close\r\nContent-Type")
SIGNAL = json.dumps({"signal": [0.5] * 40}).encode()
PATIENCE, IDLE = 0.4, 0.8


class Impatient(Server):
    most_visitors = 8
    idle = IDLE
    patience = PATIENCE


@pytest.fixture
def server(answers: Answers) -> Iterator[Server]:
    with Impatient(answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
        deadline = time.monotonic() + 10
        while server._waiting_since and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not server._waiting_since, "every thread ends"


def visit(server: Server, text: bytes = b"") -> socket.socket:
    visitor = socket.create_connection(("127.0.0.1", server.server_port), timeout=30)
    visitor.sendall(text)
    return visitor


def heard(visitor: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    parts = []
    try:
        while part := visitor.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass  # closed while something of ours was unread
    visitor.close()
    return b"".join(parts)


def poured(visitor: socket.socket, piece: bytes, times: int) -> int:
    """How often a piece could be sent before the connection broke."""
    for number in range(times):
        try:
            visitor.sendall(piece)
        except OSError:
            return number
    return times


def assert_others_are_answered(server: Server) -> None:
    with visit(server, POST % len(SIGNAL) + SIGNAL) as visitor:
        assert visitor.recv(15) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "begin", [b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", POST % 5000 + b"{"], ids=["head", "body"]
)
def test_a_byte_at_a_time(server: Server, begin: bytes):
    """Each byte comes soon, but the whole never: the request is given up, without an answer."""
    visitor = visit(server, begin)
    gone, start = threading.Event(), time.monotonic()

    def drip() -> None:
        while not gone.wait(0.05) and time.monotonic() < start + 20:
            try:
                visitor.sendall(b"a")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    assert_others_are_answered(server)
    assert visitor.recv(1) == b""
    assert time.monotonic() - start < 15
    gone.set()
    thread.join()
    visitor.close()


def test_a_crowd_that_says_nothing(server: Server):
    """The first of them must go when others come, and the rest when they have been silent for long."""
    before = threading.active_count()
    crowd = [visit(server) for _ in range(50)]
    assert_others_are_answered(server)
    assert threading.active_count() <= before + server.most_visitors
    assert [heard(visitor) for visitor in crowd] == [b""] * 50


def test_who_asked_last_stays(server: Server):
    """A connection in use is not given up for one that only waits."""
    page = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    page.connect()
    kept = page.sock
    for _ in range(3):
        crowd = [visit(server) for _ in range(server.most_visitors - 1)]
        page.request("GET", "/models")
        assert page.getresponse().read()
        assert page.sock is kept
        for visitor in crowd:
            visitor.close()
    page.close()


def test_who_never_listens(server: Server):
    """A thousand requests, and no answer is taken: in the end the server says no more."""
    visitor = visit(server)
    assert poured(visitor, GET, 100_000) < 100_000
    assert_others_are_answered(server)
    visitor.close()


def test_a_head_without_end(server: Server):
    """A hundred lines of 64 kB each would be within http.client's own limits."""
    visitor = visit(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    assert poured(visitor, b"X: " + b"a" * 65000 + b"\r\n", 90) < 90
    visitor.close()
    many = heard(visit(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 101 + b"\r\n"))
    assert many.startswith(b"HTTP/1.1 431")
    large = heard(
        visit(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X: %060000d\r\n" % 0 for _ in "ab"))
    )
    assert large.startswith(b"HTTP/1.1 431")
    assert_others_are_answered(server)


def test_wrong_lengths(server: Server):
    assert heard(visit(server, POST % (len(SIGNAL) + 1) + SIGNAL)) == b""  # waited for in vain
    answers = heard(visit(server, POST % (len(SIGNAL) - 1) + SIGNAL))
    assert answers.startswith(b"HTTP/1.1 400")
    answers = heard(visit(server, POST % len(SIGNAL) + SIGNAL + b"more\r\n\r\n"))
    assert answers.startswith(b"HTTP/1.1 200")
    assert answers.endswith(b"""{"error":"Bad request syntax ('more')"}""")
    two = POST.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n") % len(SIGNAL)
    assert heard(visit(server, two + SIGNAL)).startswith(b"HTTP/1.1 411")


def test_a_body_is_not_the_next_request(server: Server):
    """Of a request that has none, that is."""
    answers = heard(visit(server, GET.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(GET)) + GET))
    assert answers.count(b"HTTP/1.1") == 1
    assert b"Connection: close" in answers


def test_who_has_stopped_talking_still_hears(server: Server):
    visitor = visit(server, POST % len(SIGNAL) + SIGNAL)
    visitor.shutdown(socket.SHUT_WR)
    assert heard(visitor).startswith(b"HTTP/1.1 200")
    visitor = visit(server, POST % 5000 + SIGNAL)
    visitor.shutdown(socket.SHUT_WR)
    answer = heard(visitor)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"shorter than it says" in answer


def test_requests_in_one_breath(server: Server):
    visitor = visit(server, GET * 20 + POST % len(SIGNAL) + SIGNAL + GET.replace(b"/models", b"/nothing"))
    answers = heard(visitor).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200"] * 21 + [b"404"]


def largest_drawing() -> bytes:
    """As many strokes and points as are read, as the page writes them."""
    points = np.random.default_rng(0).uniform(0, 2, (MOST_STROKES, MOST_POINTS // MOST_STROKES, 2)).round(4)
    return json.dumps({"strokes": points.tolist(), "digits": 0}, separators=(",", ":")).encode()


def test_the_largest_drawing_is_read(server: Server):
    body = largest_drawing()
    visitor = visit(server, DRAWING % len(body) + body)
    visitor.shutdown(socket.SHUT_WR)
    assert heard(visitor).startswith(b"HTTP/1.1 200")


def test_large_requests_take_turns(server: Server):
    """While one of them takes long, the next is told, and small ones are answered."""
    body = largest_drawing()
    with server.turn(len(body)):
        visitor = visit(server, DRAWING % len(body) + body)
        assert_others_are_answered(server)
        answer = heard(visitor)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"Many large drawings are being read" in answer
    visitor = visit(server, DRAWING % len(body) + body)
    assert visitor.recv(15) == b"HTTP/1.1 200 OK"
    visitor.close()


@pytest.mark.long
def test_a_crowd_with_large_drawings(answers: Answers):
    """64 at once, on a server as it is started; prints how long others wait meanwhile."""
    with Server(answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        body = largest_drawing()
        said: list[bytes] = []
        crowd = [
            threading.Thread(target=lambda: said.append(heard(visit(server, CLOSING % len(body) + body))))
            for _ in range(64)
        ]
        for member in crowd:
            member.start()
        waits = []
        while any(member.is_alive() for member in crowd):
            start = time.monotonic()
            assert_others_are_answered(server)
            waits.append(time.monotonic() - start)
        server.shutdown()
    answered = sum(answer.startswith(b"HTTP/1.1 200") for answer in said)
    refused = sum(answer.startswith(b"HTTP/1.1 503") for answer in said)
    print(f"{answered} answered, {refused} refused, {64 - answered - refused} sent away; {len(waits)} others")
    print(f"waited {np.median(waits):.2f} s, at most {max(waits):.2f}")
    assert answered
