"""An HTTP proxy through which boxes reach the host's loopback services by their aliases, and nothing else."""

import asyncio
import contextlib
from collections.abc import Mapping
from urllib.parse import urlsplit

Target = tuple[str, int]


class Forward:
    """The proxy of one box. targets: (alias, port) -> (host, port) on this machine."""

    def __init__(self, targets: Mapping[Target, Target]) -> None:
        self._targets = targets
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *exc: object) -> None:
        assert self._server
        self._server.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._forwarded(reader, writer)
        except (OSError, EOFError):
            pass  # as in a container: connected, then closed
        finally:
            writer.close()

    async def _forwarded(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, url, version = first.split(" ")
        parts = urlsplit(url)
        target = self._targets.get((parts.hostname or "", parts.port or 80))
        if target is None:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        there, out = await asyncio.open_connection(*target)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        kept = [line for line in lines if line and not line.lower().startswith(("proxy-", "connection:"))]
        out.write("\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""]).encode("latin-1"))
        up = asyncio.ensure_future(_pipe(reader, out))
        try:
            await _pipe(there, writer)
        finally:
            up.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await up
            out.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
