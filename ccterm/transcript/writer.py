"""Writes one run's record: events and the agent's own lines, batched, never blocking the loop on the disk."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from ccterm.errors import StateError
from ccterm.events import Event, Finished
from ccterm.models import RunId
from ccterm.state_dir import Reserve, private_directory
from ccterm.storage import STORAGE, Storage
from ccterm.transcript.buffer import CAP, Buffer, WriteBatch
from ccterm.transcript.follow import EVENTS_FILE, WriteSignal, follow_file
from ccterm.transcript.lines import LineFile
from ccterm.transcript.reader import last_event

AGENT_FILE = "agent.ndjson"
_PERIOD = 0.05
"""Seconds between two writes while events keep coming; after a pause the first is written at once."""
_NOTHING = WriteBatch()

__all__ = ["AGENT_FILE", "CAP", "EVENTS_FILE", "Transcript"]


class Transcript:
    """The only writer of one run's record. All methods belong to one event loop.

    Events go to transcript.ndjson, the agent's lines to agent.ndjson. After a disk error, which is kept in `fault`, nothing more is
    written except, at `close`, how the run ended.
    """

    def __init__(
        self,
        directory: Path,
        run: RunId,
        *,
        cap: int = CAP,
        reserve: Reserve | None = None,
        pool: Executor | None = None,
        storage: Storage = STORAGE,
        on_fault: Callable[[OSError], None] = lambda _: None,
    ) -> None:
        """Open the record of a run and continue where it ends. Quick. Raises StateError.

        cap: bytes of both files. reserve: space that is released so that the final event fits on a full disk.
        pool: threads for writing; None = the loop's own.
        """
        self.fault: OSError | None = None
        self._path = directory / EVENTS_FILE
        self._files = _Files(private_directory(directory), reserve, pool, storage)
        self._buffer = self._files.buffer(run, cap)
        self._on_fault = on_fault
        self._signal = WriteSignal()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[tuple[int, OSError | None]] | None = None
        self._wrote_at = 0.0
        self._closed = False

    @property
    def finished(self) -> bool:
        """Whether the run's final event was taken; nothing is written after it."""
        return self._buffer.over

    def append(self, events: Sequence[Event]) -> list[Event]:
        """Take events, in order; never waits. Returns them with run and time, and with a number where it is certain already.

        They are on the disk about 50 ms later, durable after `sync`. After `finished`, and after a fault, they are not written.
        """
        stamped = [self._buffer.add(event) for event in events]
        self._schedule()
        return stamped

    def archive(self, line: str) -> None:
        """Take one cleaned line of the agent, without its line break; never waits."""
        self._buffer.add_line(line)
        self._schedule()

    async def sync(self) -> bool:
        """Make everything taken so far durable. Returns False when that failed: see `fault`."""
        await self._write_out()
        if self.fault or self._closed:
            return self.fault is None
        if error := await self._files.sync():
            self._break(error)
        return not error

    async def close(self) -> None:
        """Write and sync what is left, and end the followers. The final event is tried even after a fault."""
        if self._closed:
            return
        try:
            await self._write_out()
            if lines := self._buffer.final_lines():
                await self._files.write_at_last(lines)
            if error := await self._files.sync():
                self._break(error)
        finally:
            self._shut()

    def _shut(self) -> None:
        """Close the files, after any write in progress when `close` was cancelled."""
        if self._closed:
            return
        self._closed = True
        self._signal.send(last=True)
        if self._writing:
            self._writing.add_done_callback(lambda _: self._files.close())
        else:
            self._files.close()

    def follow(self, after: int = -1) -> AsyncGenerator[list[Event], None]:
        """Yield batches of events after number `after`, woken by each write; ends after `finished`, or with `close`."""
        return follow_file(self._path, after, self._signal)

    def _schedule(self) -> None:
        """Schedule a write of what was taken."""
        if self._timer or self._writing or self._closed or self.fault or not self._buffer:
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(max(loop.time(), self._wrote_at + _PERIOD), self._write)

    def _write(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._writing or self._closed or not (batch := self._buffer.drain()):
            return
        self._writing = self._files.write(batch)
        self._writing.add_done_callback(lambda done: self._written(batch, done))

    def _written(self, batch: WriteBatch, done: asyncio.Future[tuple[int, OSError | None]]) -> None:
        self._writing = None
        self._wrote_at = asyncio.get_running_loop().time()
        landed, error = done.result()
        if error:
            self._break(error, batch, landed)
        self._signal.send()
        self._schedule()

    async def _write_out(self) -> None:
        """Write everything that was taken before this call."""
        while self._writing:
            await asyncio.wait([self._writing])
        self._write()
        if self._writing:
            await asyncio.wait([self._writing])

    def _break(self, error: OSError, batch: WriteBatch = _NOTHING, landed: int = 0) -> None:
        self._buffer.give_back(batch, landed, str(error.strerror))
        if self.fault is None:
            self.fault = error
            self._on_fault(error)


class _Files:
    """The two files of a record, written in a thread."""

    def __init__(self, directory: Path, reserve: Reserve | None, pool: Executor | None, storage: Storage) -> None:
        self._directory = directory
        self._reserve = reserve
        self._pool = pool
        self._storage = storage
        self._named = False
        self._last, self._unreadable = last_event(directory / EVENTS_FILE)
        self.events = LineFile(directory / EVENTS_FILE, storage)
        try:
            self.archive = LineFile(directory / AGENT_FILE, storage)
        except StateError:
            self.events.close()
            raise

    def buffer(self, run: RunId, cap: int) -> Buffer:
        """Return a buffer that continues where the files end."""
        number = self._unreadable + (self._last.seq if self._last else -1)
        buffer = Buffer(run, last=number, used=self.events.size + self.archive.size, archived=self.archive.size, cap=cap)
        buffer.over = isinstance(self._last, Finished)
        return buffer

    def write(self, batch: WriteBatch) -> asyncio.Future[tuple[int, OSError | None]]:
        """Write a batch; the result is how many events were written, and the error if any."""
        return asyncio.get_running_loop().run_in_executor(self._pool, self._write, batch)

    def _write(self, batch: WriteBatch) -> tuple[int, OSError | None]:
        data, before = batch.lines, self.events.size
        error = self.events.write(data)
        landed = data.count(b"\n", 0, self.events.size - before)
        return landed, error or (self.archive.write(batch.archive) if batch.archive else None)

    async def write_at_last(self, lines: WriteBatch) -> None:
        """Try once more to write the end of a run, in the space that was reserved for it."""
        if self._reserve:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._reserve.release)
        await self.write(lines)

    async def sync(self) -> OSError | None:
        """Make both files durable, and their names."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._sync)

    def _sync(self) -> OSError | None:
        try:
            if not self._named:
                self._storage.sync_path(self._directory)
                self._storage.sync_path(self._directory.parent)
                self._named = True
        except OSError as error:
            return error
        return self.events.sync() or self.archive.sync()

    def close(self) -> None:
        self.events.close()
        self.archive.close()
