"""The service as another process has it: reads the record itself, gives orders to the owner."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from pydantic import ValidationError

from ccterm.service.lock import DaemonLock
from ccterm.draft import Draft, anchored
from ccterm.errors import DaemonError
from ccterm.models import Allowances, CheckResult, ExecutionMode, Run, RunId, Task
from ccterm.service.commands import (
    LINE_LIMIT,
    PROTOCOL,
    Apply,
    Cancel,
    CancelAll,
    Hello,
    Hold,
    Order,
    Plan,
    Push,
    Release,
    Reply,
    Retry,
    Review,
    Steer,
    Submit,
    Undo,
)
from ccterm.service.protocol import NO_ALLOWANCES, Service
from ccterm.service.reader import RecordReader
from ccterm.state_dir import StateDir
from ccterm.store import Store

Revive = Callable[[], Awaitable[None]]
GREETING_SECONDS = 10.0


@contextmanager
def attached(state: StateDir, lock: DaemonLock, revive: Revive | None = None) -> Iterator["RemoteService"]:
    """Read the record beside its owner. revive: starts another owner when there is none. Raises StateError when the record cannot be read."""
    store = Store.open(state.db, readonly=True)
    try:
        yield RemoteService(state, store, lock, revive)
    finally:
        store.close()


class RemoteService(RecordReader, Service):
    """Asks the owner of a state directory; what only reads goes to its files, whether the owner answers or not."""

    def __init__(self, state: StateDir, store: Store, lock: DaemonLock, revive: Revive | None = None) -> None:
        super().__init__(state, store, owned=lambda: lock.holder() is not None)
        self._revive = revive

    async def submit(self, drafts: Sequence[Draft], *, max_concurrent: int | None = None) -> list[Run]:
        """Queue tasks as one batch."""
        return await self._order(Submit(drafts=tuple(anchored(draft, Path.cwd()) for draft in drafts), max_concurrent=max_concurrent))

    async def plan(self, drafts: Sequence[Draft]) -> list[Task]:
        """Return the tasks that drafts would become."""
        return list((await self._ask(Plan(drafts=tuple(anchored(draft, Path.cwd()) for draft in drafts)))).tasks)

    async def cancel(self, run: RunId, *, now: bool = False) -> None:
        """Stop a run."""
        await self._order(Cancel(run=run, now=now))

    async def cancel_all(self, *, now: bool = False) -> None:
        """Stop every queued and running run."""
        await self._order(CancelAll(now=now))

    async def steer(self, run: RunId, text: str) -> None:
        """Say something to a running agent."""
        await self._order(Steer(run=run, text=text))

    async def hold(self, run: RunId) -> None:
        """Let a running agent wait for a word when its turn ends."""
        await self._order(Hold(run=run))

    async def release(self, run: RunId) -> None:
        """Let a waiting agent end."""
        await self._order(Release(run=run))

    async def retry(self, run: RunId) -> Run:
        """Queue the same task again."""
        return (await self._order(Retry(run=run)))[0]

    async def push(self, run: RunId, *, allow: Allowances = NO_ALLOWANCES) -> Run:
        """Deliver a run's salvaged commit."""
        return (await self._order(Push(run=run, allow=allow)))[0]

    async def apply(self, run: RunId, *, allow: Allowances = NO_ALLOWANCES, only: Sequence[str] = ()) -> Run:
        """Bring a testing run's kept changes into its working copy."""
        return (await self._order(Apply(run=run, allow=allow, only=tuple(only))))[0]

    async def undo(self, run: RunId) -> Run:
        """Put back what a run's changes replaced."""
        return (await self._order(Undo(run=run)))[0]

    async def review(self, run: RunId) -> Run:
        """Note that the user has seen how a run ended."""
        return (await self._order(Review(run=run)))[0]

    async def checks(self, mode: ExecutionMode) -> AsyncIterator[CheckResult]:
        """Ask all preflight questions of a place to run, from this process: they are about the machine, not about the owner."""
        from ccterm.daemon.wiring import checks_for  # deferred: it brings all executors, which only this needs
        from ccterm.preflight import run_checks

        async for result in run_checks(checks_for(mode, self._state, os.environ)):
            yield result

    @asynccontextmanager
    async def staying(self) -> AsyncIterator[None]:
        """Stay connected, so that an owner that nobody else needs does not leave meanwhile. Raises DaemonError when there is none."""
        _, writer = await self._connect()
        try:
            yield
        finally:
            writer.close()

    async def _order(self, order: Order) -> list[Run]:
        return list((await self._ask(order)).runs)

    async def _ask(self, order: Order) -> Reply:
        reader, writer = await self._connect()
        try:
            writer.write(order.model_dump_json().encode() + b"\n")
            await writer.drain()
            line = await reader.readline()
            reply = Reply.model_validate_json(line)
        except (OSError, ValueError) as error:
            raise DaemonError(
                "the owner of the state directory went away before it answered", "try again; ccterm runs shows what happened"
            ) from error
        finally:
            writer.close()
        if reply.fault:
            raise reply.fault.error()
        return reply

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._revive:
            await self._revive()
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                reader, writer = await self._reach()
                hello = Hello.model_validate_json(await reader.readline())
        except ValidationError as error:
            raise DaemonError("the owner of the state directory answers nonsense", "end it, or use the same version of ccterm") from error
        except (OSError, TimeoutError) as error:
            raise DaemonError(
                "the owner of the state directory does not answer", "try again; when it stays so, end that process"
            ) from error
        if hello.protocol != PROTOCOL:
            writer.close()
            raise DaemonError(f"the owner (process {hello.pid}) is another version of ccterm", "let it end, or use its version")
        return reader, writer

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the owner's socket; an owner that has just started is still recovering and has none yet."""
        while True:
            try:
                socket = (await asyncio.to_thread(self._state.socket_address.read_text)).strip()
                return await asyncio.open_unix_connection(socket, limit=LINE_LIMIT)
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(0.05)
