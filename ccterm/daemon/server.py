"""The owner's end of owner.sock: takes orders from other processes and carries them out on the service."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import ValidationError

from ccterm.errors import CctermError, UsageError
from ccterm.executors.control import socket_directory
from ccterm.models import Run
from ccterm.service.commands import (
    LINE_LIMIT,
    ORDER,
    Apply,
    Cancel,
    CancelAll,
    Fault,
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
from ccterm.service.protocol import Service
from ccterm.state_dir import StateDir, write_private


class Connections:
    """Who is connected to the owner now."""

    def __init__(self) -> None:
        self.open = 0


@asynccontextmanager
async def listening(service: Service, state: StateDir, visits: Connections | None = None) -> AsyncIterator[None]:
    """Take orders for as long as the block lasts. visits: is told who is connected; who only stays connected wants the owner to stay."""
    directory = await asyncio.to_thread(socket_directory)
    path = directory / "owner.sock"
    desk = _Desk(service, visits or Connections())
    server = await asyncio.start_unix_server(desk.converse, path, limit=LINE_LIMIT)
    try:
        path.chmod(0o600)
        await asyncio.to_thread(write_private, state.socket_address, f"{path}\n".encode())
        yield
    finally:
        state.socket_address.unlink(missing_ok=True)
        server.close()
        await desk.finish()
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


class _Desk:
    """Holds the conversations that are under way."""

    def __init__(self, service: Service, visits: Connections) -> None:
        self._service = service
        self._visits = visits
        self._open: set[asyncio.Task[None]] = set()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet, take one order, answer it."""
        if (task := asyncio.current_task()) is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        self._visits.open += 1
        try:
            with contextlib.suppress(OSError, ValueError):  # the other end went away, or its line is too long: nobody to answer
                await _send(writer, Hello(pid=os.getpid()))
                if line := await reader.readline():
                    await _send(writer, await self._answer(line))
        finally:
            self._visits.open -= 1
            writer.close()

    async def finish(self) -> None:
        """Let the conversations that are under way end."""
        if self._open:
            await asyncio.wait(self._open, timeout=2)

    async def _answer(self, line: bytes) -> Reply:
        try:
            order = ORDER.validate_json(line)
            if isinstance(order, Plan):
                return Reply(tasks=tuple(await self._service.plan(order.drafts)))
            return Reply(runs=tuple(await self._carry_out(order)))
        except ValidationError as error:
            refusal = UsageError(f"the owner does not understand this order: {error.errors()[0]['msg']}", "use the same version of ccterm")
            return Reply(fault=Fault.of(refusal))
        except CctermError as error:
            return Reply(fault=Fault.of(error))

    async def _carry_out(self, order: Order) -> list[Run]:
        service = self._service
        match order:
            case Submit(drafts=drafts, max_concurrent=cap):
                return await service.submit(drafts, max_concurrent=cap)
            case Cancel(run=run, now=now):
                await service.cancel(run, now=now)
            case CancelAll(now=now):
                await service.cancel_all(now=now)
            case Steer(run=run, text=text):
                await service.steer(run, text)
            case Hold(run=run):
                await service.hold(run)
            case Release(run=run):
                await service.release(run)
            case Retry(run=run):
                return [await service.retry(run)]
            case Push() | Apply() | Undo():
                return [await self._deliver(order)]
            case Review(run=run):
                return [await service.review(run)]
        return []

    async def _deliver(self, order: Push | Apply | Undo) -> Run:
        match order:
            case Push(run=run, allow=allow):
                return await self._service.push(run, allow=allow)
            case Apply(run=run, allow=allow, only=only):
                return await self._service.apply(run, allow=allow, only=only)
            case Undo(run=run):
                return await self._service.undo(run)


async def _send(writer: asyncio.StreamWriter, message: Hello | Reply) -> None:
    writer.write(message.model_dump_json().encode() + b"\n")
    await writer.drain()
