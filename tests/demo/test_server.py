"""The server answers its own page, and nobody else."""

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator

import pytest

from demo.hand import drawn, request
from lightconv.demo.answers import Answers
from lightconv.demo.server import LARGEST_BODY, Server
from lightconv.errors import UsageError

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    yield connection
    connection.close()


def raw(server: Server, text: bytes) -> bytes:
    """Send bytes and return all that comes back."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=60) as sock:
        sock.sendall(text)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def refusal(response: http.client.HTTPResponse) -> str:
    """The sentence of a refusal, which tells nothing of the server's insides."""
    text = response.read().decode()
    (sentence,) = json.loads(text).values()
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "Traceback" not in text
    assert "/lightconv/" not in text
    return sentence


def test_it_listens_to_this_machine_alone(server: Server):
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_the_page_and_all_that_it_names(connection: http.client.HTTPConnection):
    wanted, seen = ["/"], {}
    while wanted:
        path = wanted.pop()
        connection.request("GET", path)
        response = connection.getresponse()
        text = seen[path] = response.read().decode()
        assert response.status == 200
        assert response.headers["Content-Length"] == str(len(text.encode()))
        kind = {"css": "text/css", "js": "text/javascript"}.get(path.rpartition(".")[2], "text/html")
        assert response.headers.get_content_type() == kind
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        names = re.findall(r'(?:src|href)="([^"#:]+)"|from "\./([^"]+)"', text)
        wanted += [f"/{a or b}" for a, b in names if f"/{a or b}" not in seen]
    assert len(seen) > 8
    assert not any("https://" in text or re.search(r"http://(?!www\.w3\.org/)", text) for text in seen.values())


def test_models(connection: http.client.HTTPConnection, answers: Answers):
    connection.request("GET", "/models")
    assert json.load(connection.getresponse()) == json.loads(json.dumps(answers.models()))


def test_a_drawing_and_a_signal(connection: http.client.HTTPConnection, answers: Answers):
    for path, question in (("/drawing", request(drawn("8"))), ("/signal", {"signal": [0.5] * 40})):
        connection.request("POST", path, json.dumps(question), JSON)
        response = connection.getresponse()
        assert response.status == 200
        answer, expected = json.load(response), getattr(answers, path[1:])(question)
        assert answer["probabilities"] == expected["probabilities"]


def test_head_is_get_without_the_body(connection: http.client.HTTPConnection):
    connection.request("HEAD", "/")
    response = connection.getresponse()
    assert response.status == 200
    assert int(response.headers["Content-Length"]) > 1000
    assert response.read() == b""


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "192.168.0.7"]
)
@pytest.mark.parametrize("path", ["/", "/drawing"])
def test_another_host_is_refused(connection: http.client.HTTPConnection, host: str, path: str):
    """A name that somebody else has bound to this address: DNS rebinding."""
    connection.request("GET", path, headers={"Host": host})
    response = connection.getresponse()
    assert response.status == 403
    assert "answers only to 127.0.0.1" in refusal(response)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9000", "LOCALHOST"])
def test_this_machine_may_be_called_so(connection: http.client.HTTPConnection, host: str):
    connection.request("GET", "/", headers={"Host": host})
    assert connection.getresponse().status == 200


def test_no_host_or_two_are_refused(server: Server):
    assert raw(server, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 403")
    assert raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n").startswith(b"HTTP/1.1 403")


def test_another_page_is_refused(connection: http.client.HTTPConnection, server: Server):
    body = json.dumps(request(drawn("8")))
    connection.request("POST", "/drawing", body, {**JSON, "Origin": "https://evil.example"})
    response = connection.getresponse()
    assert response.status == 403
    assert "its own page" in refusal(response)
    connection.request("POST", "/drawing", body, {**JSON, "Origin": server.url.rstrip("/")})
    assert connection.getresponse().status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../server.py",
        "/%2e%2e/server.py",
        "/..%2fserver.py",
        "/index.html/",
        "//etc/passwd",
        "/page/style.css",
        "/a\\b",
        "/..",
    ],
)
def test_only_its_own_files(server: Server, path: str):
    answer = raw(server, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"import" not in answer


@pytest.mark.parametrize(("method", "status"), [("PUT", 501), ("DELETE", 501), ("OPTIONS", 501), ("BREW", 501)])
def test_other_methods(connection: http.client.HTTPConnection, method: str, status: int):
    connection.request(method, "/drawing")
    response = connection.getresponse()
    assert response.status == status
    refusal(response)


@pytest.mark.parametrize(("method", "path", "allow"), [("GET", "/drawing", "POST"), ("POST", "/models", "GET, HEAD")])
def test_a_method_that_the_address_does_not_take(connection, method: str, path: str, allow: str):
    connection.request(method, path, headers=JSON)
    response = connection.getresponse()
    assert (response.status, response.headers["Allow"]) == (405, allow)
    refusal(response)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain", "Content-Length": "2"}, b"{}", 415),
        ({"Content-Length": "2"}, b"{}", 415),
        ({**JSON}, b"", 411),
        ({**JSON, "Content-Length": "-1"}, b"", 411),
        ({**JSON, "Content-Length": "1e3"}, b"", 411),
        ({**JSON, "Transfer-Encoding": "chunked"}, b"2\r\n{}\r\n0\r\n\r\n", 411),
        ({**JSON, "Content-Length": "2", "Transfer-Encoding": "chunked"}, b"{}", 411),
        ({**JSON, "Content-Length": str(LARGEST_BODY + 1)}, b"", 413),
        ({**JSON, "Content-Length": "9" * 30}, b"", 413),
        ({**JSON, "Content-Length": "3"}, b"{]}", 400),
        ({**JSON, "Content-Length": "2"}, b"\xff\xfe", 400),
        ({**JSON, "Content-Length": "2"}, b"{}", 400),
        ({**JSON, "Content-Length": "90000"}, b"[" * 90000, 400),
        ({**JSON, "Content-Length": "9000"}, b"9" * 9000, 400),
    ],
)
def test_bodies_that_are_refused(server: Server, headers: dict[str, str], body: bytes, status: int):
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    answer = raw(server, f"POST /drawing HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode() + body)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"].endswith(".")


def test_nonsense_in_place_of_http(server: Server):
    assert b"Traceback" not in raw(server, b"\x16\x03\x01\x02\x00\r\n\r\n")
    assert b"414" in raw(server, b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n")


def test_its_own_failure_is_told_on_the_terminal_alone(server: Server, connection, capsys, monkeypatch):
    def broken(question: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setitem(server.questions, "/signal", broken)
    connection.request("POST", "/signal", "{}", JSON)
    response = connection.getresponse()
    assert response.status == 500
    assert "secret" not in refusal(response)
    assert connection.sock is None  # closed by the server, which has told by now
    for _ in range(100):
        if said := capsys.readouterr().err:
            break
        threading.Event().wait(0.02)
    assert said == "lightconv: RuntimeError: secret\n"


def test_many_at_once_get_their_own_answers(server: Server, answers: Answers):
    questions = [request(drawn(str(digit)), 1) for digit in range(10)]
    names: dict[int, str] = {}

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
        connection.request("POST", "/drawing", json.dumps(questions[number]), JSON)
        names[number] = json.load(connection.getresponse())["name"]

    idle = socket.create_connection(("127.0.0.1", server.server_port))  # says nothing, and stops nobody
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    idle.close()
    assert names == {number: answers.drawing(question)["name"] for number, question in enumerate(questions)}


def test_a_visitor_who_leaves_is_no_error(server: Server, capsys: pytest.CaptureFixture[str]):
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.server_port)) as sock:
            sock.sendall(b"POST /drawing HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            sock.sendall(b"Content-Length: 5000\r\n\r\n{")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert capsys.readouterr().err == ""


def test_a_port_in_use_is_one_sentence(server: Server, answers: Answers):
    with pytest.raises(UsageError, match=rf"^Expected port {server.server_port} to be free, .*leave `--port` out\.$"):
        Server(answers, server.server_port)
