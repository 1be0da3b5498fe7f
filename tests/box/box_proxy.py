"""The box proxy as a process for tests, with what is around it: its settings, its reports, clients and servers."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.waiting import LIMIT, wait_until

Serve = Callable[[socket.socket], None]


class BoxProxyProcess:
    """A running proxy. told: its reports. Leaving the block ends it as its box does."""

    def __init__(self, lib: Path, settings: Mapping[str, object]) -> None:
        self._host, theirs = socket.socketpair()
        self.told: list[dict[str, Any]] = []
        with theirs, socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            self.port: int = listener.getsockname()[1]
            command = [sys.executable, "-I", "-S", str(lib / "__main__.py"), "proxy"]
            self.process = subprocess.Popen(
                command, stdin=theirs.fileno(), stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"]}, start_new_session=True
            )
            socket.send_fds(self._host, [b" "], [listener.fileno()])
        given = {"mode": "open", "hosts": [], "gateway": None, "services": {}, "proxies": {}, **settings}
        self._host.sendall(json.dumps(given).encode() + b"\n")
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with self._host.makefile() as lines:
            self.told.extend(json.loads(line) for line in lines)

    def __enter__(self) -> "BoxProxyProcess":
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()

    def end(self) -> int:
        """Do what happens when the box ends; return the proxy's exit code. It must have complained of nothing."""
        with suppress(OSError):
            self._host.shutdown(socket.SHUT_WR)
        assert self.process.stderr
        with suppress(ValueError):  # it was read before
            complaints = self.process.communicate(timeout=LIMIT)[1]
            assert complaints == b"", complaints.decode()
        self._reader.join(LIMIT)
        return self.process.returncode

    def reconnect(self) -> None:
        """Say that the gateway was started again."""
        self._host.sendall(b"reconnect\n")

    def until_told(self, fits: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait for a report that fits."""
        wait_until(lambda: any(map(fits, self.told)))
        return next(filter(fits, self.told))

    def connect(self) -> socket.socket:
        """Return a connection to it."""
        connection = socket.create_connection(("127.0.0.1", self.port), LIMIT)
        connection.settimeout(LIMIT)
        return connection

    def ask(self, data: bytes) -> bytes:
        """Send bytes and return all that comes back until the end."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_all(connection)

    def tunnel(self, authority: str) -> socket.socket:
        """Return a tunnel that is made."""
        connection = self.connect()
        connection.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
        return connection


def read_head(connection: socket.socket) -> bytes:
    """Read to the first empty line, a byte at a time."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, data
        data += byte
    return data


def read_all(connection: socket.socket) -> bytes:
    """Read to the end."""
    data = b""
    with suppress(ConnectionResetError):
        while block := connection.recv(1 << 16):
            data += block
    return data


@contextmanager
def server(serve: Serve, path: Path | None = None) -> Iterator[int]:
    """Serve each connection in a thread, on loopback or on a socket; yields the port."""
    if path:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(128)
    else:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(LIMIT)
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listener:
        yield 0 if path else listener.getsockname()[1]
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def echo(connection: socket.socket) -> None:
    """Send back what comes, to its end."""
    while data := connection.recv(1 << 16):
        connection.sendall(data)
