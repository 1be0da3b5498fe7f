"""The socket of one run: what comes in there is bounded, and allowed to do nothing but what this run's box may."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import h11

from ccterm.gateway.box_connection import BoxConnection
from ccterm.gateway.exchange import Exchange
from ccterm.gateway.git_reading import PREFIX, GitReader
from ccterm.gateway.heads import BODY_BYTES, RefusedRequest, RequestHead
from ccterm.gateway.requests import RequestKind, check_git_pass, check_pass, is_api, kind_of
from ccterm.gateway.way_out import Unreachable

CONNECTIONS = 100
"""Most connections of one run at a time; one more is closed at once."""
_MOST_REASONS = 10
BODIES_BYTES = 2 * BODY_BYTES
"""Most bytes of one run's bodies that are held at a time; others wait until there is room."""


class ServedRun:
    """Listens for one run until it is closed, and every connection with it.

    own_base: whether requests come in plain HTTP for an address of the user's; else they come in a tunnel to api.anthropic.com. A login is
    sent to the one or to the other. certificate: called for the TLS context of a tunnel. tell_unreachable: called with why what was asked
    cannot be reached, once for each reason; the box is not told, since that speaks of the user's proxy and network.
    """

    def __init__(
        self,
        socket: Path,
        token: str,
        exchange: Exchange,
        api: Exchange,
        git: GitReader,
        *,
        own_base: bool,
        certificate: Callable[[], ssl.SSLContext],
        tell_unreachable: Callable[[str], None],
    ) -> None:
        self.socket = socket
        self._exchange = exchange
        self._api, self._git, self._own_base, self._certificate = api, git, own_base, certificate
        self._tell_unreachable, self._reasons = tell_unreachable, set[str]()
        self._token = token.encode("ascii")
        self._room = _Room(BODIES_BYTES)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Begin to listen, in place of whatever is there. Raises OSError."""
        self.socket.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._accept, self.socket)

    def close(self) -> None:
        """Close the socket and its connections."""
        if self._server:
            self._server.close()
        self.socket.unlink(missing_ok=True)
        for task in self._tasks:
            task.cancel()
        self._exchange.tally.flush()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= CONNECTIONS:
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(BoxConnection(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, box: BoxConnection) -> None:
        try:
            while await self._next(box):
                pass
        except (OSError, Unreachable, h11.ProtocolError):
            pass  # the box is gone, or is to see that its answer is not whole
        finally:
            box.close()

    async def _next(self, box: BoxConnection) -> bool:
        """Answer one request; False when it was the last."""
        try:
            head = await box.head()
            if head is None:
                return False
            if head.method == b"CONNECT" and not box.secured:
                return await self._open_tunnel(head, box)
            async with self._room.of(head.length):
                body = await box.body(head)
                await _while_there(box, self._answer(head, body, box))
        except RefusedRequest as refusal:
            await box.respond(refusal.status, refusal.body, refusal.headers, closes=refusal.closes)
            if refusal.closes:
                await box.linger()
        return box.again()

    async def _open_tunnel(self, head: RequestHead, box: BoxConnection) -> bool:
        if not is_api(head.target):
            raise RefusedRequest(403, "only the API is reached through here", closes=True)
        await box.secure(self._certificate())
        return True

    async def _answer(self, head: RequestHead, body: bytes, box: BoxConnection) -> None:
        try:
            if head.target.startswith(PREFIX) and not box.secured:
                check_git_pass(head, self._token)
                await self._git.answer(head, body, box)
            else:
                kind = self._allowed(head, box)
                await (self._api if kind is RequestKind.DOMAIN else self._exchange).answer(kind, head, body, box)
        except Unreachable as error:
            if box.begun:
                raise
            self._note_unreachable(str(error))
            raise RefusedRequest(502, "the gateway of ccterm cannot reach what was asked; the run's transcript says why") from error

    def _note_unreachable(self, why: str) -> None:
        if why not in self._reasons and len(self._reasons) < _MOST_REASONS:
            self._reasons.add(why)
            self._tell_unreachable(why)

    def _allowed(self, head: RequestHead, box: BoxConnection) -> RequestKind:
        """Return what is asked. Raises RefusedRequest for what this run's box may not ask."""
        if not head.target.startswith(b"/"):
            raise RefusedRequest(400, "the target must be a path")
        if not box.secured and not self._own_base:
            raise RefusedRequest(403, "this run asks the API by its name, through CONNECT")
        kind = kind_of(head)
        if kind is not RequestKind.DOMAIN:
            check_pass(head, self._token)
            if box.secured and self._own_base:
                raise RefusedRequest(404, "this run's login belongs to another address")
        return kind


async def _while_there(box: BoxConnection, work: Coroutine[None, None, None]) -> None:
    """Do the work, for as long as there is somebody to do it for. Raises ConnectionResetError, and what the work raises."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(box.gone())
    try:
        await asyncio.wait([working, gone], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ConnectionResetError("the box has closed its connection")
        working.result()
    finally:
        working.cancel()
        gone.cancel()
        await asyncio.wait([working, gone])


class _Room:
    """Bytes of memory that requests share; who finds none left waits."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def of(self, size: int) -> AsyncIterator[None]:
        while self._left < size:
            self._freed.clear()
            await self._freed.wait()
        self._left -= size
        try:
            yield
        finally:
            self._left += size
            self._freed.set()
