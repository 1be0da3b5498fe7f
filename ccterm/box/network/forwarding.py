"""Moves bytes between two connections of the box proxy: tunnels, and bodies of known length. Nobody's bytes pile up: reading waits for writing."""

import asyncio
import contextlib
from typing import NamedTuple

from ccterm.box.network.heads import CHUNKED, BadHead

CHUNK = 64 * 1024
LINGER_SECONDS = 1.0
"""Seconds for a client to read a refusal while it still sends."""
_LONGEST_LINE = 1024
_HEX = b"0123456789abcdefABCDEF"


class ProxyStream(NamedTuple):
    """A connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Write, as fast as the other end reads."""
        self.writer.write(data)
        await self.writer.drain()

    async def end(self) -> None:
        """Say that nothing more will be written."""
        with contextlib.suppress(OSError):
            if self.writer.can_write_eof():
                self.writer.write_eof()

    def close(self) -> None:
        """Close it at once, whatever was still to be written."""
        self.writer.transport.abort()


async def pass_on(source: ProxyStream, target: ProxyStream) -> None:
    """Pass bytes on to the end of one direction."""
    while data := await source.reader.read(CHUNK):
        await target.send(data)
    await target.end()


async def relay(*directions: "asyncio.Task[None]") -> None:
    """Wait until both directions have ended, or one has failed. Raises what it failed with."""
    try:
        await asyncio.gather(*directions)
    finally:
        for direction in directions:
            direction.cancel()


async def send_body(client: ProxyStream, server: ProxyStream, length: int) -> None:
    """Send the body of one request, and nothing that follows it. Raises BadHead, IncompleteReadError."""
    if length == CHUNKED:
        await _send_chunks(client, server)
    while length > 0:
        data = await client.reader.read(min(length, CHUNK))
        if not data:
            raise BadHead("its body is shorter than it says")
        length -= len(data)
        await server.send(data)


async def _send_chunks(client: ProxyStream, server: ProxyStream) -> None:
    while True:
        line = await _line(client)
        if not line or len(line) > 15 or line.strip(_HEX):
            raise BadHead("its body is not made of chunks")
        size = int(line, 16)
        if not size:
            break
        await server.send(b"%x\r\n" % size)
        await send_body(client, server, size)
        if await _line(client):
            raise BadHead("its body is not made of chunks")
        await server.send(b"\r\n")
    while await _line(client):
        continue  # a trailer
    await server.send(b"0\r\n\r\n")


async def _line(client: ProxyStream) -> bytes:
    line = await client.reader.readuntil(b"\r\n")
    if len(line) > _LONGEST_LINE:
        raise BadHead("its body is not made of chunks")
    return line[:-2]


async def answer(client: ProxyStream, status: str, text: str) -> None:
    """Answer a request that is not passed on, and let the client read that even while it sends."""
    body = f"ccterm: {text}\n".encode("utf-8", "replace")
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        await asyncio.wait_for(client.send(head.encode() + body), LINGER_SECONDS)
        await client.end()
        await asyncio.wait_for(_discard(client), LINGER_SECONDS)


async def _discard(client: ProxyStream) -> None:
    while await client.reader.read(CHUNK):
        continue
