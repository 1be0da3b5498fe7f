"""One connection from a box: requests are read one after the other, within bounds of size and time, and answered with a length or in chunks."""

import asyncio
import contextlib
import ssl

import h11

from ccterm.gateway.heads import HEAD_BYTES, HEAD_END, Headers, RefusedRequest, RequestHead, read_head

IDLE_SECONDS = 600.0
HEAD_SECONDS = 15.0
"""Seconds from the first byte of a head to its last."""
BODY_SECONDS = 120.0
TLS_SECONDS = 15.0
STALLED_SECONDS = 300.0
"""Seconds that a box may take to read what was written to it."""
_LINGER_SECONDS = 2.0
_QUIET_SECONDS = 0.2
"""A box that sends nothing for so long has noticed."""
_PIECE = 64 * 1024


class BoxConnection:
    """The server's side of HTTP/1.1. Errors: RefusedRequest for what is to be answered, OSError when the box is gone or too slow."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._buffer = bytearray()
        self._http = _server()
        self._method = b""
        self.secured = False
        """Whether it is inside of a tunnel, whose TLS ends here."""
        self.begun = False
        """Whether an answer to the present request has begun."""

    async def head(self) -> RequestHead | None:
        """Read the next head; None = the box has nothing more to ask. Raises RefusedRequest and OSError."""
        self.begun = False
        if not self._buffer:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    if not await self._more():
                        return None
            except TimeoutError:
                return None
        async with asyncio.timeout(HEAD_SECONDS):
            while (end := self._buffer.find(HEAD_END)) < 0:
                if len(self._buffer) > HEAD_BYTES:
                    raise RefusedRequest(431, "the head of the request is larger than 64 KiB", closes=True)
                if not await self._more():
                    return None
        raw = bytes(self._buffer[: end + len(HEAD_END)])
        if len(raw) > HEAD_BYTES:
            raise RefusedRequest(431, "the head of the request is larger than 64 KiB", closes=True)
        del self._buffer[: len(raw)]
        head = read_head(raw, self._http)
        self._method = head.method
        return head

    async def body(self, head: RequestHead) -> bytes:
        """Read a request's body. Raises OSError when the box goes away or takes too long."""
        if head.waits:
            self._writer.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        async with asyncio.timeout(BODY_SECONDS):
            while len(self._buffer) < head.length:
                if not await self._more():
                    raise ConnectionResetError("the box closed its connection in a request")
        body = bytes(self._buffer[: head.length])
        del self._buffer[: head.length]
        if body:  # to h11, b"" is the end of the connection
            self._http.receive_data(body)
        while isinstance(self._http.next_event(), h11.Data):
            pass
        return body

    async def gone(self) -> None:
        """Return once the box has closed its connection, or never."""
        with contextlib.suppress(OSError):
            while len(self._buffer) < HEAD_BYTES:
                if not await self._more():
                    return
            await asyncio.Event().wait()

    async def secure(self, context: ssl.SSLContext) -> None:
        """Accept the CONNECT that was read, and end TLS. Raises OSError, of which ssl.SSLError is one."""
        if self._buffer:
            raise ConnectionAbortedError("bytes of a tunnel came before it was there")
        self._writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await self._writer.start_tls(context, ssl_handshake_timeout=TLS_SECONDS)
        self._http = _server()
        self.secured = True

    async def begin(self, status: int, headers: Headers, reason: bytes = b"") -> None:
        """Send the head of an answer."""
        self.begun = True
        await self._send(h11.Response(status_code=status, headers=headers, reason=reason))

    async def piece(self, data: bytes) -> None:
        """Send a piece of the answer's body; returns once the box has room for more."""
        await self._send(h11.Data(data=data))

    async def finish(self) -> None:
        """End the answer."""
        await self._send(h11.EndOfMessage())

    async def respond(self, status: int, body: bytes, headers: Headers | None = None, *, closes: bool = False) -> None:
        """Send a whole answer, JSON when nothing else is said."""
        given = headers if headers is not None else [(b"content-type", b"application/json")]
        length = (b"content-length", str(len(body)).encode())
        await self.begin(status, [*given, length, *([(b"connection", b"close")] if closes else [])])
        if self._method != b"HEAD":
            await self.piece(body)
        await self.finish()

    def again(self) -> bool:
        """Whether another request may follow on this connection."""
        if self._http.our_state is self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        return False

    async def linger(self) -> None:
        """Read and discard what comes for a moment, so that the last answer is not lost to a reset."""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while await asyncio.wait_for(self._reader.read(_PIECE), _QUIET_SECONDS):
                    pass

    def close(self) -> None:
        """Close it; what was said before still arrives, if the box reads it soon.

        An answer that has begun is not whole then. A tunnel of an engine may not carry our close, so bytes say it, too: those that end TLS, and
        without TLS a chunk that is none.
        """
        if self._http.our_state is h11.SEND_BODY and not self.secured:
            self._writer.write(b"broken off\r\n")
        self._writer.close()
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._writer.transport.abort)

    async def _more(self) -> bool:
        data = await self._reader.read(_PIECE)
        self._buffer += data
        return bool(data)

    async def _send(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")
        async with asyncio.timeout(STALLED_SECONDS):
            await self._writer.drain()


def _server() -> h11.Connection:
    return h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES + 1)
