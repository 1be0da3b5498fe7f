"""What a hostile box sends: any bytes, to the socket of its run or into a tunnel."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple, Self

import h11

from ccterm.gateway.client import RunPass

TUNNEL = b"CONNECT api.anthropic.com:443 HTTP/1.1\r\nHost: api.anthropic.com:443\r\n\r\n"
OAUTH = b"anthropic-beta: oauth-2025-04-20"
"""What the CLI says in every request with an OAuth login."""
BODY = b'{"model":"sonnet","messages":[{"role":"user","content":"Hello"}],  "stream":false}'


class RawAnswer(NamedTuple):
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RawBox:
    """A connection from a box."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @asynccontextmanager
    async def to(cls, given: RunPass, *, tunnel: bool = False) -> AsyncIterator[Self]:
        """Connect to a run's socket, and through it to the API's name."""
        box = cls(*await asyncio.open_unix_connection(given.socket))
        try:
            if tunnel:
                await box.open_tunnel(given)
            yield box
        finally:
            box.writer.close()

    async def open_tunnel(self, given: RunPass) -> None:
        """Have TLS with the API's name."""
        self.writer.write(TUNNEL)
        assert b" 200 " in await self.reader.readuntil(b"\r\n\r\n")
        await self.writer.start_tls(ssl.create_default_context(cadata=given.ca), server_hostname="api.anthropic.com")

    async def ask(self, request: bytes, method: bytes = b"POST") -> RawAnswer:
        """Send bytes and return the answer. Raises h11.RemoteProtocolError when it is not whole."""
        self.writer.write(request)
        return await self.answer(method)

    async def answer(self, method: bytes = b"POST") -> RawAnswer:
        """Return the next answer."""
        http = h11.Connection(h11.CLIENT)
        http.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        http.send(h11.EndOfMessage())
        body, head = b"", None
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                http.receive_data(await self.reader.read(65536))
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.Response):
                head = event
        assert head
        return RawAnswer(head.status_code, {name.decode(): value.decode() for name, value in head.headers}, body)


def request(
    given: RunPass | None, *headers: bytes, line: bytes = b"POST /v1/messages?beta=true HTTP/1.1", body: bytes = BODY, length: bool = True
) -> bytes:
    """Return a request, with the pass when there is one."""
    credential = [b"Authorization: Bearer " + given.token.get_secret_value().encode()] if given else []
    lines = [line, b"Host: api.anthropic.com", *credential, *headers, *([b"Content-Length: %d" % len(body)] if length else [])]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def get(path: bytes, given: RunPass | None) -> bytes:
    """Return a request for a document."""
    return request(given, line=b"GET " + path + b" HTTP/1.1", body=b"", length=False)
