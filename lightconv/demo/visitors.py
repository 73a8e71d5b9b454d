"""Visitors cost little and go: there are few at a time, and what they say and hear is bounded in bytes and seconds.

One who says nothing, says it a byte a second, or never listens would otherwise hold a thread for ever.
"""

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from http.server import ThreadingHTTPServer
from typing import Any

__all__ = ["Line", "PatientServer"]

LARGEST_HEAD = 96 * 1024


class Line(io.RawIOBase):
    """A connection as a file that is read, and written to, in time.

    Args:
        connection: what is read and written.
        idle: seconds that a request may be waited for.
        patience: seconds that it may take from its first byte to its last, and an answer to be taken.
        heard: is called when a request begins.
    """

    def __init__(self, connection: socket.socket, idle: float, patience: float, heard: Callable[[], None]) -> None:
        self._connection, self._idle, self._patience, self._heard = connection, idle, patience, heard
        self._lost = False
        self.await_request()

    def await_request(self) -> None:
        """What is read from here on is another request."""
        self._end: float | None = None
        self._left = LARGEST_HEAD

    def expect(self, count: int) -> None:
        """Let the request be larger by a body of that many bytes."""
        self._left += count

    def readable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, and wait for it if need be.

        Raises:
            TimeoutError: if it does not come in time.
            HTTPException: if the request is too large.
        """
        if self._left <= 0:
            raise HTTPException("too large a head")
        wait = self._idle if self._end is None else self._end - time.monotonic()
        if wait <= 0:
            raise TimeoutError("a request took too long")
        self._connection.settimeout(wait)
        count = self._connection.recv_into(memoryview(buffer)[: self._left])
        if self._end is None:
            self._end = time.monotonic() + self._patience
            self._heard()
        self._left -= count
        return count

    def write(self, data: Any) -> int:
        """Send all; once that has failed, nothing is sent any more.

        Raises:
            TimeoutError: if it is not taken in time.
        """
        if not self._lost:
            self._lost = True
            self._connection.settimeout(self._patience)
            self._connection.sendall(data)
            self._lost = False
        return len(data)


class PatientServer(ThreadingHTTPServer):
    """One thread a visitor, and so many visitors at most; for one more, whoever has kept it waiting longest must go.

    Requests of more than `small` bytes are answered one at a time; none of them waits longer than `queue` seconds.
    """

    most_visitors = 32
    idle = 60.0
    patience = 10.0
    small = 16 * 1024
    queue = 0.5
    request_queue_size = 64
    daemon_threads = True

    def __init__(self, *args: Any, **options: Any) -> None:
        self._room = threading.Semaphore(self.most_visitors)
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._waiting_since: dict[socket.socket, float] = {}
        super().__init__(*args, **options)

    def line(self, connection: socket.socket) -> Line:
        """The connection as a file, for its handler."""
        return Line(connection, self.idle, self.patience, lambda: self._note(connection))

    @contextlib.contextmanager
    def turn(self, size: int) -> Iterator[None]:
        """Answer inside: small requests at once, larger ones in turn, so that nobody waits for many of those.

        Args:
            size: bytes of the request.

        Raises:
            TimeoutError: if others that came before take too long.
        """
        alone = size > self.small
        if alone and not self._turn.acquire(timeout=self.queue):
            raise TimeoutError("others take long")
        try:
            yield
        finally:
            if alone:
                self._turn.release()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Make room, and answer in a thread."""
        if not self._room.acquire(blocking=False):
            self._send_one_away()
            self._room.acquire()
        self._note(request)
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._leave(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer until the visitor leaves."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(request)

    def _note(self, connection: socket.socket) -> None:
        with self._lock:
            self._waiting_since[connection] = time.monotonic()

    def _leave(self, connection: socket.socket) -> None:
        with self._lock:
            self._waiting_since.pop(connection, None)
        self._room.release()

    def _send_one_away(self) -> None:
        """End the connection whose request, or silence, began first; its thread sees that and ends."""
        with self._lock:
            waiting = self._waiting_since
            first = min(waiting, key=waiting.__getitem__, default=None)
        if first is not None:
            with contextlib.suppress(OSError):
                first.shutdown(socket.SHUT_RDWR)
