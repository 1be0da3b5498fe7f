"""A threaded HTTP server on the loopback: the common part of the test servers."""

import contextlib
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

LONGEST_WAIT = 300.0
"""Longest wait for a gate, in seconds, so that nothing hangs forever."""


class Gate:
    """A point in a conversation where the server waits until the test opens it."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._open = threading.Event()

    def reached(self, timeout: float = LONGEST_WAIT) -> bool:
        """Wait until a request has come this far."""
        return self._reached.wait(timeout)

    def open(self) -> None:
        """Let every request pass, now and later."""
        self._open.set()

    def pass_through(self) -> None:
        """Wait until the gate is open; for servers."""
        self._reached.set()
        self._open.wait(LONGEST_WAIT)


class Loopback(ThreadingHTTPServer):
    """Listens on an ephemeral port of 127.0.0.1 while the context is open."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return self.server_port

    @property
    def origin(self) -> str:
        """Return scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS; before the context is entered."""
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Ignore clients that went away; let the test see everything else."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One request: reads bodies of both kinds, and can reset the connection."""

    protocol_version = "HTTP/1.1"
    timeout = LONGEST_WAIT

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def body(self) -> Iterator[bytes]:
        """Yield the request's body, with a length or chunked."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        elif length := int(self.headers.get("Content-Length") or 0):
            yield self.rfile.read(length)

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send a complete answer."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def begin(self, status: int, headers: dict[str, str]) -> None:
        """Begin an answer of unknown length; `piece` adds to it, `end` ends it.

        It is chunked: a tunnel into a container does not carry the close that would end it otherwise.
        """
        self.close_connection = True
        self.send_response(status)
        for name, value in {**headers, "Connection": "close", "Transfer-Encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()

    def piece(self, data: bytes) -> None:
        """Send a piece of the answer."""
        if data:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        """End the answer."""
        self.wfile.write(b"0\r\n\r\n")

    def hang_up(self) -> None:
        """Reset the connection without another byte."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
