"""One session with one engine: its process, its GraphQL connection, its log stream. Many runs share it."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagger
from dagger import Retry, Timeout
from dagger.client._config import ConnectConfig
from dagger.client._core import Context, make_converter
from dagger.client._session import ConnectParams, SingleConnection
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from ccterm.errors import PreflightError
from ccterm.executors.dagger.cli_session import CliSession
from ccterm.executors.dagger.errors import first_line
from ccterm.executors.dagger.log_stream import LogStream

CONNECT_SECONDS = 30.0
CLOSE_SECONDS = 2.0
_CONFIG = ConnectConfig(timeout=Timeout(None, connect=10), retry=Retry(execute=False))  # tried again, an agent would run twice


class _Selection(Context):
    """A query being put together. The SDK makes a converter for each step of one (0.8 ms, and a box has twenty); ours share one.

    Its converter knows nothing of its own, but for objects that come in lists, which we never ask for.
    """

    __slots__ = ()
    _CONVERTER = make_converter(Context.__new__(Context))

    def __post_init__(self) -> None:
        self.converter = self._CONVERTER


@dataclass(frozen=True)
class Session:
    """A connected session. lost: set when its engine or its process is gone."""

    client: dagger.Client
    stream: LogStream
    child: CliSession
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    async def answers(self, seconds: float = 5.0) -> bool:
        """Return whether the engine still answers."""
        try:
            async with asyncio.timeout(seconds):
                return bool(await self.client.version())
        except (dagger.DaggerError, TimeoutError):
            return False


@asynccontextmanager
async def open_session(cli: Path, environ: Mapping[str, str], runner: str | None) -> AsyncIterator[Session]:
    """Connect to an engine; leaving ends everything that runs on the session. Raises PreflightError when it cannot be reached."""
    async with AsyncExitStack() as stack:
        child = await CliSession.start(cli, environ, runner)
        stack.push_async_callback(child.end)
        params = ConnectParams(port=child.address.port, session_token=child.address.token)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await SingleConnection(params, _CONFIG).connect()
        except (dagger.DaggerError, TimeoutError) as error:
            raise PreflightError(f"the Dagger engine does not answer: {first_line(error)}", "ccterm check; or use --mode local") from error
        stack.push_async_callback(_closed, connection)
        stream = await stack.enter_async_context(LogStream(child.address))
        session = Session(dagger.Client(_Selection(connection)), stream, child)
        watch = asyncio.ensure_future(_watch(session))
        stack.callback(watch.cancel)
        yield session


async def _watch(session: Session) -> None:
    await session.child.ended()
    session.lost.set()


async def _closed(connection: SingleConnection) -> None:
    """Close the connection; a query in flight must not keep us."""
    with contextlib.suppress(dagger.DaggerError, TimeoutError, OSError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.close()


@contextmanager
def traced() -> Iterator[str]:
    """Send all queries of the block, and what they start, under one trace id of our own, which is yielded in hex.

    The records of everything that a query makes run carry it: so the output of many runs in one stream is told apart.
    """
    number = secrets.token_hex(16)
    span = SpanContext(int(number, 16), int(secrets.token_hex(8), 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    token = context.attach(trace.set_span_in_context(NonRecordingSpan(span)))
    try:
        yield number
    finally:
        context.detach(token)
