"""The service as another process has it: reads the files itself, sends commands to the daemon."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from copy import copy
from typing import TypeVar

from ccterm.draft import anchored_repo, starting_directory
from ccterm.errors import DaemonError
from ccterm.git.bounded_json import require_bounded
from ccterm.models import CheckResult, ExecutionMode
from ccterm.service import commands
from ccterm.service.caller import CallerEnvironment
from ccterm.service.command_base import ServiceCommand
from ccterm.service.commands import request_line
from ccterm.service.connection import Connection, connect, understood
from ccterm.service.lock import DaemonLock
from ccterm.service.protocol import Machine, Service
from ccterm.service.reader import RecordReader
from ccterm.service.wire import LINE_VALUES, Reply
from ccterm.state_dir import StateDir
from ccterm.store import Store

R = TypeVar("R")
Revive = Callable[[], Awaitable[None]]


@contextmanager
def attached(state: StateDir, lock: DaemonLock, machine: Machine, revive: Revive | None = None) -> Iterator["RemoteService"]:
    """Use the daemon of a state directory. revive: starts a daemon when none runs. Raises StateError when the store cannot be read."""
    store = Store.open(state.db, readonly=True)
    try:
        yield RemoteService(state, store, lock, machine, revive)
    finally:
        store.close()


class RemoteService(RecordReader, Service):
    """Sends each command to the daemon; what only reads goes to the files, whether the daemon answers or not."""

    def __init__(self, state: StateDir, store: Store, lock: DaemonLock, machine: Machine, revive: Revive | None = None) -> None:
        super().__init__(state, store, daemon_alive=lambda: lock.holder() is not None)
        self.machine = machine
        self._revive = revive
        self._for_programs = False

    def acting_for(self, environment: CallerEnvironment | None) -> "RemoteService":
        """Return the service for programs: runs that they start have this process's environment, ended ones the one that is stored with them."""
        other = copy(self)
        other._for_programs = environment is None
        return other

    async def perform(self, command: ServiceCommand[R]) -> R:
        """Have the daemon carry out a command. Raises what it raised there, and DaemonError when it does not answer."""
        async with aclosing(self._replies(command)) as replies:
            last = [reply async for reply in replies][-1]
        with understood():
            return command.unpack(last.result)

    async def checks(
        self, execution_mode: ExecutionMode | None = None, *, repo: str | None = None, branch: str | None = None, here: str | None = None
    ) -> AsyncGenerator[CheckResult, None]:
        """Have the daemon, which would carry runs out, ask the preflight questions. Raises what `perform` does."""
        asked = anchored_repo(repo) if repo or branch else None  # the daemon works in another directory
        here = None if asked else here or str(starting_directory())
        command = commands.Checks(execution_mode=execution_mode, repo=asked, branch=branch, here=here)
        async with aclosing(self._replies(command)) as replies:
            async for reply in replies:
                if reply.more:
                    with understood():
                        piece = command.unpack_piece(reply.result)
                    yield piece

    async def _replies(self, command: ServiceCommand[R]) -> AsyncGenerator[Reply, None]:
        """Send a command, with the environment of this process where it counts, and yield the daemon's replies. Raises what `perform` does."""
        of_a_run = "run" in type(command).model_fields
        counts = command.from_caller and not (of_a_run and self._for_programs)
        environment = await asyncio.to_thread(self.machine.caller) if counts else None
        reader, writer = await self._connect()
        try:
            with understood():
                writer.write(request_line(command, environment))
                await writer.drain()
            more = True
            while more:
                with understood():
                    reply = Reply.model_validate_json(require_bounded(await reader.readline(), values=LINE_VALUES))
                if reply.error:
                    raise reply.error.error()
                more = reply.more
                yield reply
        finally:
            writer.close()

    @asynccontextmanager
    async def staying(self) -> AsyncIterator["asyncio.Future[bytes]"]:
        """Stay connected, so that an otherwise idle daemon does not exit meanwhile. Raises DaemonError when there is none.

        Yields what can be awaited for the daemon's end.
        """
        reader, writer = await self._connect()
        end = asyncio.ensure_future(reader.read())
        try:
            yield end
        finally:
            end.cancel()
            writer.close()

    async def _connect(self) -> Connection:
        if self._revive:
            await self._revive()
        try:
            return await connect(self._state)
        except DaemonError:
            if self._revive is None or self._daemon_alive():
                raise
        await self._revive()  # it ended just now: it was idle for long enough, or made way for another one
        return await connect(self._state)
