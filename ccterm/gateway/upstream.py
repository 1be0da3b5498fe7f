"""Asks an API: connections are kept and used again, answers are read as they come."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import h11

from ccterm.gateway.heads import HEAD_BYTES, Headers
from ccterm.gateway.way_out import Destination, Streams, Unreachable, WayOut

ANSWER_SECONDS = 900.0
"""Longest silence of an API: before its answer, and within it. The CLI has shorter limits of its own."""
KEPT_SECONDS = 60.0
KEPT_SECONDS_ELSEWHERE = 4.0
"""Seconds that an idle connection is kept. Small servers close theirs after five, and a request must not meet that."""
_KEPT = 32
_PIECE = 64 * 1024


class Answer:
    """An answer of the API, whose head has come."""

    def __init__(self, connection: "_ApiConnection", head: h11.Response) -> None:
        self._connection = connection
        self.status: int = head.status_code
        self.reason: bytes = bytes(head.reason)
        self.headers: Headers = list(head.headers.raw_items())

    def header(self, name: bytes) -> bytes:
        """Return the value of a header, or b""; `name` in lower case."""
        return next((value for given, value in self.headers if given.lower() == name), b"")

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises Unreachable when it breaks off."""
        while not isinstance(event := await self._connection.event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                yield bytes(event.data)

    async def read(self, limit: int) -> bytes:
        """Return the whole body. Raises Unreachable when it breaks off or is longer than `limit`."""
        body = b""
        async for piece in self.pieces():
            body += piece
            if len(body) > limit:
                raise Unreachable("an answer of the API is too long")
        return body


class Upstream:
    """One API. base_url: http or https, host, and what comes before the path of each request. Raises ValueError for another."""

    def __init__(self, base_url: str, way: WayOut, *, kept_seconds: float = KEPT_SECONDS_ELSEWHERE) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("its address must be http:// or https://, a host and perhaps a path")
        secure = parts.scheme == "https"
        self.destination = Destination(secure, parts.hostname, parts.port or (443 if secure else 80))
        self._prefix = parts.path.rstrip("/").encode("ascii")
        self._way, self._kept_seconds = way, kept_seconds
        self._kept: list[_ApiConnection] = []

    @asynccontextmanager
    async def ask(self, method: bytes, target: bytes, headers: Headers, body: bytes) -> AsyncIterator[Answer]:
        """Send a request; the block gets the answer once its head has come. Raises Unreachable, and never sends anything twice."""
        connection = self._take() or _ApiConnection(await self._way.dial(self.destination))
        try:
            asked = self._prefix + target
            if not self.destination.secure and self._way.through(self.destination):
                asked = f"http://{self.destination.authority}".encode() + asked
                headers = [*headers, *self._way.proxy_login(self.destination)]
            yield Answer(connection, await connection.ask(method, asked, headers, body))
        finally:
            self._put_back(connection)

    def _take(self) -> "_ApiConnection | None":
        while self._kept:
            connection = self._kept.pop()
            if connection.usable and time.monotonic() - connection.since < self._kept_seconds:
                return connection
            connection.close()
        return None

    def _put_back(self, connection: "_ApiConnection") -> None:
        if connection.done() and len(self._kept) < _KEPT:
            self._kept.append(connection)
        else:
            connection.close()


class _ApiConnection:
    def __init__(self, streams: Streams) -> None:
        self._reader, self._writer = streams
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        self.since = time.monotonic()

    async def ask(self, method: bytes, target: bytes, headers: Headers, body: bytes) -> h11.Response:
        request = h11.Request(method=method, target=target, headers=headers)
        events = [request, h11.Data(data=body), h11.EndOfMessage()] if body else [request, h11.EndOfMessage()]
        try:
            for event in events:
                self._writer.write(self._http.send(event) or b"")
            await self._writer.drain()
        except OSError as error:
            raise Unreachable("the API closed the connection") from error
        while not isinstance(answer := await self.event(), h11.Response):
            pass  # 1xx
        return answer

    async def event(self) -> h11.Event:
        """Return what comes next. Raises Unreachable."""
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                async with asyncio.timeout(ANSWER_SECONDS):
                    self._http.receive_data(await self._reader.read(_PIECE))
        except h11.RemoteProtocolError as error:
            closed = self._reader.at_eof()
            raise Unreachable("the API closed the connection" if closed else "the API does not speak HTTP") from error
        except OSError as error:
            raise Unreachable(f"the connection to the API broke: {error}") from error
        if not isinstance(event, h11.Event) or isinstance(event, h11.ConnectionClosed):
            raise Unreachable("the API closed the connection")
        return event

    @property
    def usable(self) -> bool:
        return not (self._reader.at_eof() or self._writer.is_closing())

    def done(self) -> bool:
        """Make it ready for the next request; False when it is not."""
        if self._http.our_state is self._http.their_state is h11.DONE and self.usable:
            self._http.start_next_cycle()
            self.since = time.monotonic()
            return True
        return False

    def close(self) -> None:
        """Close it now: a close in good form would wait for the other side, which may still be at work for us."""
        self._writer.transport.abort()
