"""Which queued run starts when, and how many agents start up at once."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from ccterm.models import Run, RunId
from ccterm.service.gates import Gate, Key, QueueEntry, UnderWay


class Scheduler:
    """Starts queued runs in order, each as soon as no gate holds it; a held run never blocks the ones behind it.

    gates: asked in this order; the first reason counts. start: carries out one run to its end and returns it. hold: is told
    each new reason for which a queued run does not start, and whether it merely waits for its turn.
    """

    def __init__(
        self,
        under_way: UnderWay,
        gates: Sequence[Gate],
        *,
        start: Callable[[RunId], Awaitable[Run]],
        hold: Callable[[RunId, str, bool], None],
    ) -> None:
        self._under_way = under_way
        self._gates = gates
        self._start = start
        self._hold = hold
        self._queue: dict[RunId, QueueEntry] = {}
        self._reasons: dict[RunId, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # a task group would wrap the errors of those who use the block
        self._accepting = False
        self._idle = asyncio.Event()
        self._idle.set()
        for gate in gates:
            gate.watch(self._pump)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Scheduler"]:
        """Carry out runs for as long as the block lasts; leaving forgets the queue and waits for the runs under way."""
        self._accepting = True
        try:
            yield self
        finally:
            self._accepting = False
            self._queue.clear()
            await self._wait()

    async def _wait(self) -> None:
        """Wait for the runs under way; a second cancellation ends them."""
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        except asyncio.CancelledError:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
            raise

    async def idle(self) -> None:
        """Wait until nothing is queued or under way."""
        await self._idle.wait()

    def waits(self, run: RunId) -> bool:
        """Whether a run is queued."""
        return run in self._queue

    def submit(self, entry: QueueEntry) -> None:
        """Queue a run, or replace what is known of one that is queued."""
        self._queue[entry.run] = entry
        self._idle.clear()
        self._consider(entry)  # the others' answers do not depend on what is queued

    def withdraw(self, run: RunId) -> bool:
        """Take a run out of the queue. Returns False when it is not waiting there."""
        self._reasons.pop(run, None)
        found = self._queue.pop(run, None) is not None
        self._note_idle()
        return found

    def busy(self, key: Key) -> QueueEntry | None:
        """Return the entry that has this branch or working copy now, or None."""
        return self._under_way.on(key)

    @asynccontextmanager
    async def alone(self, entry: QueueEntry) -> AsyncIterator[None]:
        """Occupy a branch or working copy for work that is no run, such as pushing a salvaged commit."""
        self._under_way.add(entry)
        self._idle.clear()
        try:
            yield
        finally:
            self._ended(entry)

    def _pump(self) -> None:
        """Start what may start now."""
        for entry in list(self._queue.values()):
            self._consider(entry)

    def _consider(self, entry: QueueEntry) -> None:
        if not self._accepting:
            return
        for gate in self._gates:
            if reason := gate.reason(entry):
                self._note_hold(entry.run, reason, turn=gate.turn)
                return
        del self._queue[entry.run]
        self._reasons.pop(entry.run, None)
        self._under_way.add(entry)
        task = asyncio.get_running_loop().create_task(self._carry_out(entry), name=f"run {entry.run}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note_hold(self, run: RunId, reason: str, *, turn: bool) -> None:
        if self._reasons.get(run) != reason:
            self._reasons[run] = reason
            self._hold(run, reason, turn)

    async def _carry_out(self, entry: QueueEntry) -> None:
        try:
            run = await self._start(entry.run)
            for gate in self._gates:
                gate.run_finished(run)
        finally:
            self._ended(entry)

    def _ended(self, entry: QueueEntry) -> None:
        self._under_way.remove(entry)
        self._pump()
        self._note_idle()

    def _note_idle(self) -> None:
        if not self._queue and not self._under_way:
            self._idle.set()


class StartupLimit:
    """Lets only so many agents start up at once: eight together on two cores take ten times as long as eight in turn."""

    def __init__(self, slots: int | None = None) -> None:
        self._free = slots or os.cpu_count() or 2
        self._slots = asyncio.Semaphore(self._free)

    @property
    def free(self) -> int:
        """How many slots are free."""
        return self._free

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[Callable[[], None]]:
        """Wait for a slot. Calling what is yielded says that the agent is up and frees the slot; so does leaving."""
        await self._slots.acquire()
        self._free -= 1
        occupied = True

        def up() -> None:
            nonlocal occupied
            if occupied:
                occupied = False
                self._free += 1
                self._slots.release()

        try:
            yield up
        finally:
            up()
