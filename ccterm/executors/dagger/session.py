"""One session with one engine: its process, its GraphQL connection and its log stream, shared by many runs."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import dagger
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from ccterm.errors import PreflightError
from ccterm.executors.dagger.cli_session import CliSession
from ccterm.executors.dagger.dagger_private import connected, volume_asking_id_once
from ccterm.executors.dagger.errors import first_line
from ccterm.executors.dagger.log_stream import LogStream

CONNECT_SECONDS = 30.0


@dataclass(frozen=True)
class Session:
    """A connected session. lost: set once its engine or its process is gone."""

    client: dagger.Client
    stream: LogStream
    child: CliSession
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    _volumes: dict[str, dagger.CacheVolume] = field(default_factory=dict)

    def cache_volume(self, name: str) -> dagger.CacheVolume:
        """Return the cache volume of a name; all runs of the session share one, which asks for its id once."""
        if name not in self._volumes:
            self._volumes[name] = volume_asking_id_once(self.client.cache_volume(name))
        return self._volumes[name]

    async def answers(self, seconds: float = 5.0) -> bool:
        """Return whether the engine still answers."""
        try:
            async with asyncio.timeout(seconds):
                return bool(await self.client.version())
        except (dagger.DaggerError, TimeoutError):
            return False


@asynccontextmanager
async def open_session(child: CliSession) -> AsyncIterator[Session]:
    """Connect to the engine of a process; it must be ended after leaving. Raises PreflightError when the engine does not answer."""
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                client = await stack.enter_async_context(connected(*child.address))
                await client.version()  # connecting alone asks the engine nothing
        except (dagger.DaggerError, TimeoutError) as error:
            raise PreflightError(f"the Dagger engine does not answer: {first_line(error)}", "ccterm check; or use --mode local") from error
        stream = await stack.enter_async_context(LogStream(child.address))
        session = Session(client, stream, child)
        watch = asyncio.ensure_future(_watch(session))
        stack.callback(watch.cancel)
        yield session


async def _watch(session: Session) -> None:
    await session.child.ended()
    session.lost.set()


@contextmanager
def traced() -> Iterator[str]:
    """Send all queries of the block under one new trace id, which is yielded in hex.

    The records of everything that a query runs carry it, which tells the output of many runs in one stream apart.
    """
    trace_id = secrets.token_hex(16)
    span = SpanContext(int(trace_id, 16), int(secrets.token_hex(8), 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    token = context.attach(trace.set_span_in_context(NonRecordingSpan(span)))
    try:
        yield trace_id
    finally:
        context.detach(token)
