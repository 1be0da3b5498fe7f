"""The daemon's end of the socket: takes commands from other processes and has the service carry them out."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import ValidationError

from ccterm.errors import CctermError, UsageError
from ccterm.events import to_json
from ccterm.executors.control import socket_directory
from ccterm.git.bounded_json import OutOfBounds
from ccterm.service.commands import from_line
from ccterm.service.protocol import Service
from ccterm.service.wire import LINE_LIMIT, Hello, Reply, WireError
from ccterm.state_dir import StateDir, write_private


class Connections:
    """Counts the processes that are connected."""

    def __init__(self) -> None:
        self.open = 0


@asynccontextmanager
async def listening(service: Service, state: StateDir, connections: Connections | None = None, provider: str = "") -> AsyncIterator[None]:
    """Take commands for as long as the block lasts. connections: is kept up to date; an open one keeps the daemon from exiting.

    provider: see `Hello`.
    """
    directory = await asyncio.to_thread(socket_directory)
    path = directory / "daemon.sock"
    server = _Server(service, connections or Connections(), Hello(pid=os.getpid(), provider=provider))
    listener = await asyncio.start_unix_server(server.converse, path, limit=LINE_LIMIT)
    try:
        path.chmod(0o600)
        await asyncio.to_thread(write_private, state.socket_address, f"{path}\n".encode())
        yield
    finally:
        state.socket_address.unlink(missing_ok=True)
        listener.close()
        await server.finish()
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


class _Server:
    """Holds the conversations that are under way."""

    def __init__(self, service: Service, connections: Connections, hello: Hello) -> None:
        self._service = service
        self._hello = hello
        self._connections = connections
        self._tasks: set[asyncio.Task[None]] = set()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet, read one command, reply."""
        if (task := asyncio.current_task()) is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._connections.open += 1
        try:
            with contextlib.suppress(OSError, ValueError):  # the peer went away, or its line is too long: nobody to answer
                await _send(writer, self._hello)
                if line := await reader.readline():
                    await _send(writer, await self._answer(line))
        finally:
            self._connections.open -= 1
            writer.close()

    async def finish(self) -> None:
        """Give the conversations that are under way a moment to end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)

    async def _answer(self, line: bytes) -> Reply:
        try:
            return Reply(result=await from_line(line).answer(self._service))
        except ValidationError as error:
            refusal = UsageError(
                f"the daemon does not understand this command: {error.errors()[0]['msg']}", "use the same version of ccterm"
            )
            return Reply(error=WireError.of(refusal))
        except OutOfBounds as error:
            return Reply(error=WireError.of(UsageError(f"the daemon does not take {error} in one command", "submit fewer tasks at once")))
        except CctermError as error:
            return Reply(error=WireError.of(error))


async def _send(writer: asyncio.StreamWriter, message: Hello | Reply) -> None:
    writer.write(to_json(message) + b"\n")
    await writer.drain()
