"""The service as another process has it: reads the files itself, sends commands to the daemon."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from ccterm.credentials.provider import provider_switch
from ccterm.errors import DaemonError, UsageError
from ccterm.events import to_json
from ccterm.git.bounded_json import require_bounded
from ccterm.service.commands import Plan, Retry, ServiceCommand, Submit
from ccterm.service.lock import DaemonLock
from ccterm.service.protocol import Machine, Service
from ccterm.service.reader import RecordReader
from ccterm.service.wire import LINE_LIMIT, LINE_VALUES, PROTOCOL, Hello, Reply
from ccterm.state_dir import StateDir
from ccterm.store import Store

R = TypeVar("R")
Revive = Callable[[], Awaitable[None]]
GREETING_SECONDS = 10.0
_STARTING = (Submit, Plan, Retry)


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

    async def perform(self, command: ServiceCommand[R]) -> R:
        """Have the daemon carry out a command. Raises what it raised there, and DaemonError when it does not answer."""
        hello, reader, writer = await self._connect()
        try:
            self._require_same_provider(command, hello)
            writer.write(to_json(command) + b"\n")
            await writer.drain()
            reply = Reply.model_validate_json(require_bounded(await reader.readline(), values=LINE_VALUES))
            if reply.error is None:
                return command.unpack(reply.result)
        except (OSError, ValueError) as error:
            raise DaemonError("the daemon stopped before it answered", "try again; ccterm runs shows what happened") from error
        finally:
            writer.close()
        raise reply.error.error()

    @asynccontextmanager
    async def staying(self) -> AsyncIterator[None]:
        """Stay connected, so that an otherwise idle daemon does not exit meanwhile. Raises DaemonError when there is none."""
        *_, writer = await self._connect()
        try:
            yield
        finally:
            writer.close()

    def _require_same_provider(self, command: ServiceCommand[R], hello: Hello) -> None:
        """Refuse to start what would use another cloud than the caller's environment says: the daemon's is what agents get."""
        if isinstance(command, _STARTING) and (switch := provider_switch(self.machine.environ)) and switch != hello.provider:
            other = f"with {hello.provider}" if hello.provider else "without it"
            raise UsageError(
                f"{switch} is set here, and the daemon that starts the agents (process {hello.pid}) was started {other}",
                f"once its runs have finished: kill {hello.pid}, then try again",
            )

    async def _connect(self) -> tuple[Hello, asyncio.StreamReader, asyncio.StreamWriter]:
        if self._revive:
            await self._revive()
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                reader, writer = await self._open()
                hello = Hello.model_validate_json(require_bounded(await reader.readline()))
        except ValueError as error:
            raise DaemonError("the daemon's greeting cannot be read", "stop it, or use the same version of ccterm") from error
        except (OSError, TimeoutError) as error:
            raise DaemonError("the daemon does not answer", "try again; if that does not help, stop its process") from error
        if hello.protocol != PROTOCOL:
            writer.close()
            raise DaemonError(
                f"the daemon (process {hello.pid}) is another version of ccterm", "stop it once its runs have finished, or use that version"
            )
        return hello, reader, writer

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the daemon's socket, which does not exist yet while a new daemon recovers what the last one left."""
        while True:
            try:
                socket = (await asyncio.to_thread(self._state.socket_address.read_text)).strip()
                return await asyncio.open_unix_connection(socket, limit=LINE_LIMIT)
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(0.05)
