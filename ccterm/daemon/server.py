"""The daemon's end of the socket: takes commands from other processes and has the service carry them out."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from pydantic import ValidationError

from ccterm.errors import CctermError, UsageError
from ccterm.executors.control import socket_directory
from ccterm.git.bounded_json import OutOfBounds
from ccterm.service.command_base import StreamCommand
from ccterm.service.commands import from_line
from ccterm.service.local import LocalService
from ccterm.service.protocol import Service
from ccterm.service.wire import LINE_LIMIT, Hello, Reply, WireError
from ccterm.state_dir import StateDir, write_private
from ccterm.values import to_json

MOMENT = 2.0
COMMAND_SECONDS = 60.0
"""How long a process that ends goes on while none of the commands that it has taken comes to an end."""


class Connections:
    """The processes that are connected, and what is carried out for them."""

    def __init__(self) -> None:
        self.open = 0
        self.commands: set[asyncio.Task[None]] = set()
        self.dismissed = asyncio.Event()
        """Set when this process ends by order, and gives what others asked for no more than a moment."""


async def settled(service: LocalService, connections: Connections) -> None:
    """Return once neither a run nor a command of another process is under way: until then both must stay within reach of others."""
    dismissed = asyncio.ensure_future(connections.dismissed.wait())
    try:
        await service.idle()
        while connections.commands and not connections.dismissed.is_set():
            done, _ = await asyncio.wait({dismissed, *connections.commands}, timeout=COMMAND_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            await service.idle()  # what was carried out may have been a submission
    finally:
        dismissed.cancel()


@asynccontextmanager
async def listening(service: Service, state: StateDir, connections: Connections | None = None) -> AsyncIterator[None]:
    """Take commands for as long as the block lasts. connections: is kept up to date; an open one keeps the daemon from exiting."""
    directory = await asyncio.to_thread(socket_directory)
    path = directory / "daemon.sock"
    server = _Server(service, connections or Connections())
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

    def __init__(self, service: Service, connections: Connections) -> None:
        self._service = service
        self._connections = connections
        self._tasks: set[asyncio.Task[None]] = set()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet, read one command, reply."""
        if (task := asyncio.current_task()) is not None:
            for tasks in (self._tasks, self._connections.commands):
                task.add_done_callback(tasks.discard)
            self._tasks.add(task)
        self._connections.open += 1
        try:
            with contextlib.suppress(OSError, ValueError):  # the peer went away, or its line is too long: nobody to answer
                await _send(writer, Hello(pid=os.getpid()))
                if line := await reader.readline():
                    self._connections.commands.update([task] if task else [])
                    async with aclosing(self._answers(line)) as answers:
                        async for answer in answers:
                            await _send(writer, answer)
        finally:
            self._connections.open -= 1
            writer.close()

    async def finish(self) -> None:
        """Give the conversations that are under way a moment to end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=MOMENT)

    async def _answers(self, line: bytes) -> AsyncGenerator[Reply, None]:
        try:
            request = from_line(line)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]["msg"]
            refusal = UsageError(f"the daemon does not understand this command: {problem}", "use the same version of ccterm")
            yield Reply(error=WireError.of(refusal))
            return
        except OutOfBounds as error:
            yield Reply(error=WireError.of(UsageError(f"the daemon does not take {error} in one command", "submit fewer tasks at once")))
            return
        service, command = self._service.acting_for(request.environment), request.command
        try:
            if isinstance(command, StreamCommand):
                async for piece in command.packed(service):
                    yield Reply(result=piece, more=True)
                yield Reply()
            else:
                yield Reply(result=await command.answer(service))
        except CctermError as error:
            yield Reply(error=WireError.of(error))


async def _send(writer: asyncio.StreamWriter, message: Hello | Reply) -> None:
    writer.write(to_json(message) + b"\n")
    await writer.drain()
