"""The stand-in `dagger session`, which carries every byte between its port and an engine's socket.

Run as `cli.py DEFAULT_ENGINE MESSAGE DEAF session …`, with few modules of the standard library: it starts in every test of an engine.
"""

import base64
import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

GONE = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
LINGER = 0.5
"""Seconds that open connections get when the session closes."""


class Session:
    """One `dagger session`: connects to its engine, then serves until its stdin ends."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._token = os.urandom(16).hex()
        self._stop = threading.Event()
        self._lost = False
        self._clients: set[threading.Thread] = set()

    def run(self, *, deaf: bool) -> int:
        """Serve; returns the exit code."""
        if not deaf:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: self._stop.set())
            _start(self._read_stdin)
        held = _connected(self._engine)
        login = base64.b64encode(self._token.encode() + b":").decode()
        held.sendall(f"POST /session HTTP/1.1\r\nAuthorization: Basic {login}\r\nContent-Length: 0\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            if not (data := held.recv(4096)):
                raise EOFError
            answer += data
        _start(lambda: self._watch(held))
        server = socket.create_server(("127.0.0.1", 0))
        _start(lambda: self._accept(server))
        print(json.dumps({"port": server.getsockname()[1], "session_token": self._token}), flush=True)
        self._stop.wait()
        server.close()
        with contextlib.suppress(OSError):
            held.sendall(b"bye\n")
        for client in list(self._clients):
            client.join(LINGER)
        return 0

    def _read_stdin(self) -> None:
        while os.read(0, 4096):
            continue
        self._stop.set()

    def _watch(self, held: socket.socket) -> None:
        """Notice that the engine is gone; from then on every answer is 502, but the session lives on."""
        with contextlib.suppress(OSError):
            while held.recv(4096):
                continue
        self._lost = True

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                self._clients.add(_start(lambda client=client: self._serve(client)))  # type: ignore[misc] # bound now, not later

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            try:
                if self._lost:
                    raise ConnectionError
                engine = _connected(self._engine)
            except OSError:
                client.recv(1 << 20)
                client.sendall(GONE)
                return
            with engine:
                self._carry(client, engine)
        self._clients.discard(threading.current_thread())

    def _carry(self, client: socket.socket, engine: socket.socket) -> None:
        waiting = bytearray()  # what was asked and not answered yet
        _start(lambda: _pipe(client, engine, waiting.extend))
        _pipe(engine, client, lambda _: waiting.clear())
        if waiting:
            client.sendall(GONE)
        client.shutdown(socket.SHUT_RDWR)


def _start(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _connected(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection


def _pipe(source: socket.socket, target: socket.socket, seen: Callable[[bytes], object]) -> None:
    """Carry bytes until either end closes; then the other end learns of it."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 18):
            seen(data)
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def unreachable() -> int:
    """Be silent forever, like the real one when its runner does not answer: only SIGINT and SIGKILL end it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, lambda *_: os._exit(2))
    while True:
        signal.pause()


def failed(message: str) -> int:
    """Print one line and exit."""
    print(f"Error: {message}", file=sys.stderr)
    return 1


def session(default: str, *, deaf: bool) -> int:
    """Run `dagger session`."""
    runner = os.environ.get("_EXPERIMENTAL_DAGGER_RUNNER_HOST") or default
    scheme, _, path = runner.partition("://")
    if not runner:
        return failed("start engine: failed to run command [docker version]: exit status 1")
    if scheme not in ("unix", "tcp"):
        return failed(f'start engine: no driver for scheme "{scheme}" found')
    try:
        return Session(path).run(deaf=deaf)
    except (OSError, EOFError):
        return unreachable()


if __name__ == "__main__":
    default, message, deaf = sys.argv[1:4]
    code = failed(message) if message else session(default, deaf=bool(deaf))
    sys.stdout.flush()
    os._exit(code)  # whatever is still carried is cut, as by the real one
