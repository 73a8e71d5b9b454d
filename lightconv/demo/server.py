"""A web server for one visitor, on this machine alone.

It listens on the loopback interface, answers only requests that name this machine as their host (a page elsewhere
could otherwise reach it by rebinding its name), knows its own files by name, reads requests of bounded size in bounded
time, and tells a visitor one sentence when something is wrong.
"""

import io
import json
import os
import re
import socket
import socketserver
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from lightconv.demo.answers import Answers
from lightconv.demo.visitors import PatientServer
from lightconv.errors import UsageError

__all__ = ["Server"]

ADDRESS = "127.0.0.1"
HOSTS = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?")  # any port, for it may be forwarded
LARGEST_BODY = 96 * 1024  # as many points as are read, with four decimals
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Server(PatientServer):
    """Serves the page and the answers behind it.

    Args:
        answers: the models.
        port: 0 to take any that is free.

    Raises:
        UsageError: if the port cannot be had.
    """

    allow_reuse_address = os.name != "nt"  # on Windows it would share a port that is in use

    def __init__(self, answers: Answers, port: int = 0) -> None:
        self.pages = _pages()
        self.questions: dict[str, Callable[[Any], Any]] = {"/drawing": answers.drawing, "/signal": answers.signal}
        self.pages["/models"] = (TYPES[".json"], _encode(answers.models()))
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise UsageError(
                f"Expected port {port} to be free, but it cannot be had ({(error.strerror or str(error)).lower()}); "
                "choose another, or leave `--port` out."
            ) from error

    def server_bind(self) -> None:
        """Bind without asking anybody for this machine's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A visitor who leaves early is no error; anything else is told in one line on this terminal."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            print(f"lightconv: {type(error).__name__}: {error}", file=sys.stderr)

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{ADDRESS}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "lightconv"
    sys_version = ""

    def setup(self) -> None:
        """Buffer what is written: head and body apart, the second waits for the first to be acknowledged."""
        self.connection = self.request
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.line = self.server.line(self.connection)
        self.rfile, self.wfile = io.BufferedReader(self.line), io.BufferedWriter(self.line)

    def handle_one_request(self) -> None:
        """Wait for one request and answer it."""
        self.line.await_request()
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Refuse strangers and unknown methods before anything else is looked at."""
        if not super().parse_request():
            return False
        host, origin = self.headers.get_all("Host", []), self.headers.get("Origin")
        if len(host) != 1 or not HOSTS.fullmatch(host[0].lower()):
            self.send_error(HTTPStatus.FORBIDDEN, "This server answers only to 127.0.0.1 and localhost.")
        elif origin is not None and origin != f"http://{host[0]}":
            self.send_error(HTTPStatus.FORBIDDEN, "This server answers only to its own page.")
        elif self.command not in ("GET", "HEAD", "POST"):
            self.send_error(HTTPStatus.NOT_IMPLEMENTED, "This server knows GET, HEAD and POST.")
        else:
            return True
        return False

    def do_GET(self) -> None:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that nobody reads would be taken for the next request
        path = urlsplit(self.path).path
        if path in self.server.pages:
            self._send(HTTPStatus.OK, *self.server.pages[path])
        elif path in self.server.questions:
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED, "This address takes POST.")
        else:
            self.send_error(HTTPStatus.NOT_FOUND, "There is nothing at this address.")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        lengths = self.headers.get_all("Content-Length", [])
        length = lengths[0] if len(lengths) == 1 else ""
        if path in self.server.pages:
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED, "This address takes GET.")
        elif path not in self.server.questions:
            self.send_error(HTTPStatus.NOT_FOUND, "There is nothing at this address.")
        elif self.headers.get_content_type() != "application/json":
            self.send_error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "This address takes application/json.")
        elif not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            self.send_error(HTTPStatus.LENGTH_REQUIRED, "A request must say how long it is.")
        elif len(length) > 9 or int(length) > LARGEST_BODY:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A request may have {LARGEST_BODY:,} bytes.")
        else:
            self.line.expect(int(length))
            body = self.rfile.read(int(length))
            if len(body) < int(length):
                self.send_error(HTTPStatus.BAD_REQUEST, "The request is shorter than it says.")
            else:
                self._answer(self.server.questions[path], body)

    def _answer(self, question: Callable[[Any], Any], body: bytes) -> None:
        try:
            with self.server.turn(len(body)):
                answer = _encode(question(_decode(body)))
        except UsageError as error:
            self.send_error(HTTPStatus.BAD_REQUEST, str(error))
        except TimeoutError:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "Many large drawings are being read; go on in a moment.")
        except Exception:
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, "That went wrong; the terminal says what.")
            raise
        else:
            self._send(HTTPStatus.OK, TYPES[".json"], answer)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """One sentence as JSON; the connection is closed, for a body may be left unread."""
        self.close_connection = True
        self._send(HTTPStatus(code), TYPES[".json"], _encode({"error": message or HTTPStatus(code).phrase}))

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "POST" if self.command in ("GET", "HEAD") else "GET, HEAD")
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a drawing makes a hundred requests."""


def _pages() -> dict[str, tuple[str, bytes]]:
    """The page's files, each under its own address: type and content."""
    pages = {}
    for file in resources.files("lightconv.demo").joinpath("page").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in TYPES:
            pages["/" + file.name] = (TYPES[suffix], file.read_bytes())
    pages["/"] = pages.pop("/index.html")
    return pages


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise UsageError("Expected JSON, but the request is not.") from None


def _encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
