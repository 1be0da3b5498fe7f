"""The stand-in `dagger session`, which carries every byte between its port and an engine's socket.

Run as a file, with nothing but the standard library: it starts as often as the real one, and must start as fast.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import sys

GONE = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
LINGER = 0.5


class Session:
    """One `dagger session`: connects to its engine, then serves until its stdin ends."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._token = secrets.token_hex(16)
        self._over = asyncio.Event()
        self._lost = False
        self._clients: set[asyncio.Task[None]] = set()

    async def run(self, *, deaf: bool) -> int:
        """Serve; returns the exit code."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        if not deaf:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop.set)
            loop.add_reader(0, lambda: None if os.read(0, 4096) else stop.set())
        reader, writer = await asyncio.open_unix_connection(self._socket)
        login = base64.b64encode(self._token.encode() + b":").decode()
        writer.write(f"POST /session HTTP/1.1\r\nAuthorization: Basic {login}\r\nContent-Length: 0\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        watch = asyncio.ensure_future(self._watch(reader))
        server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        print(json.dumps({"port": server.sockets[0].getsockname()[1], "session_token": self._token}), flush=True)
        await stop.wait()
        loop.remove_reader(0)
        server.close()
        watch.cancel()
        writer.write(b"bye\n")
        if self._clients:
            await asyncio.wait(self._clients, timeout=LINGER)
        return 0

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        """Learn that the engine is gone: every answer is 502 from then on, and we live."""
        with contextlib.suppress(OSError):
            await reader.read()
        self._lost = True

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._clients.add(task)
        with contextlib.suppress(OSError):
            await self._carried(reader, writer)
        self._clients.discard(task)
        writer.close()

    async def _carried(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting = bytearray()  # what was asked and not answered yet
        try:
            if self._lost:
                raise ConnectionError
            engine_reader, engine_writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            await reader.read(1 << 20)
            writer.write(GONE)
            return
        up = asyncio.ensure_future(_pipe(reader, engine_writer, waiting.extend))
        down = asyncio.ensure_future(_pipe(engine_reader, writer, lambda _: waiting.clear()))
        try:
            await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
            if down.done() and waiting:
                writer.write(GONE)
        finally:
            engine_writer.close()
            for task in (up, down):
                task.cancel()


async def _pipe(reader, writer, seen) -> None:  # type: ignore[no-untyped-def] # the callbacks of two kinds are all alike
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 18):
            seen(data)
            writer.write(data)
            await writer.drain()


def unreachable() -> int:
    """Be silent for ever, as the real one is when its runner does not answer: only SIGINT and SIGKILL end it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, lambda *_: os._exit(2))
    while True:
        signal.pause()


def failed(words: str) -> int:
    """Say one line and leave."""
    print(f"Error: {words}", file=sys.stderr)
    return 1


def session(default: str, *, deaf: bool) -> int:
    """Carry out `dagger session`."""
    runner = os.environ.get("_EXPERIMENTAL_DAGGER_RUNNER_HOST") or default
    scheme, _, socket = runner.partition("://")
    if not runner:
        return failed("start engine: failed to run command [docker version]: exit status 1")
    if scheme not in ("unix", "tcp"):
        return failed(f'start engine: no driver for scheme "{scheme}" found')
    try:
        return asyncio.run(Session(socket).run(deaf=deaf))
    except (OSError, EOFError):
        return unreachable()


def main() -> int:
    """Run as the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--default", default="")
    parser.add_argument("--says", default="")
    parser.add_argument("--deaf", action="store_true")
    parser.add_argument("command")
    asked, _ = parser.parse_known_args()
    return failed(asked.says) if asked.says else session(asked.default, deaf=asked.deaf)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # whatever is still carried is cut, as by the real one
