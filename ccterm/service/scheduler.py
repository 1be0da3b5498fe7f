"""Which run starts when: a pool with caps, one run at a time per branch, and a gate for agents that start up."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ccterm.models import BatchId, RunId

Key = tuple[str, str]
"""What a run works on alone: (remote's key, branch), or (working copy, "")."""


@dataclass(frozen=True)
class Entry:
    """One run for the scheduler."""

    run: RunId
    batch: BatchId
    key: Key


class Scheduler:
    """Starts queued runs in order as slots and branches come free; a run that is held never blocks the ones behind it.

    start: carries out one run to its end. hold: is told why a run does not start, "" when it may. trouble: says why it cannot start
    where it is to run, or ""; `pump` looks again.
    """

    def __init__(
        self,
        *,
        cap: int,
        start: Callable[[RunId], Awaitable[None]],
        hold: Callable[[RunId, str], None],
        trouble: Callable[[RunId], str] = lambda _: "",
    ) -> None:
        self._cap = cap
        self._start = start
        self._hold = hold
        self._trouble = trouble
        self._queue: dict[RunId, Entry] = {}
        self._reasons: dict[RunId, str] = {}
        self._live: dict[RunId, Entry] = {}
        self._caps: dict[BatchId, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # a task group would wrap the errors of those who use the block
        self._accepting = False
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Scheduler"]:
        """Carry out runs for as long as the block lasts; leaving forgets the queue and waits for those that are under way."""
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

    def submit(self, entry: Entry, *, cap: int | None = None) -> None:
        """Queue a run; `cap` limits how many of its batch run at once, beside or above the pool's own cap."""
        if cap is not None:
            self._caps[entry.batch] = cap
        self._queue[entry.run] = entry
        self._idle.clear()
        self.pump()

    def withdraw(self, run: RunId) -> bool:
        """Take a run out of the queue. Returns False when it is not waiting there."""
        self._reasons.pop(run, None)
        found = self._queue.pop(run, None) is not None
        self._note_idle()
        return found

    def busy(self, key: Key) -> RunId | None:
        """Return the run that works on this branch now, or None."""
        return next((entry.run for entry in self._live.values() if entry.key == key), None)

    @asynccontextmanager
    async def alone(self, entry: Entry) -> AsyncIterator[None]:
        """Keep a branch busy for work that is no run, such as delivering a salvaged commit."""
        self._live[entry.run] = entry
        self._idle.clear()
        try:
            yield
        finally:
            self._done(entry)

    def _obstacle(self, entry: Entry) -> str:
        what = "branch" if entry.key[1] else "working copy"
        rival = self.busy(entry.key)
        return f"{what} busy (run {rival})" if rival else self._trouble(entry.run)

    def pump(self) -> None:
        """Start what may start now."""
        for entry in list(self._queue.values()):
            if not self._accepting or not self._room(entry):
                continue
            if reason := self._obstacle(entry):
                self._set_hold(entry.run, reason)
                continue
            del self._queue[entry.run]
            self._reasons.pop(entry.run, None)
            self._live[entry.run] = entry
            task = asyncio.get_running_loop().create_task(self._carry_out(entry), name=f"run {entry.run}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _room(self, entry: Entry) -> bool:
        mine = sum(live.batch == entry.batch for live in self._live.values())
        pool = max([self._cap, *(cap for batch, cap in self._caps.items() if any(live.batch == batch for live in self._live.values()))])
        own = self._caps.get(entry.batch)
        return mine < own and len(self._live) < max(pool, own) if own is not None else len(self._live) < pool

    def _set_hold(self, run: RunId, reason: str) -> None:
        if self._reasons.get(run) != reason:
            self._reasons[run] = reason
            self._hold(run, reason)

    async def _carry_out(self, entry: Entry) -> None:
        try:
            await self._start(entry.run)
        finally:
            self._done(entry)

    def _done(self, entry: Entry) -> None:
        self._live.pop(entry.run, None)
        if not any(other.batch == entry.batch for other in [*self._live.values(), *self._queue.values()]):
            self._caps.pop(entry.batch, None)
        self.pump()
        self._note_idle()

    def _note_idle(self) -> None:
        if not self._queue and not self._live:
            self._idle.set()


class StartGate:
    """Lets only so many agents start up at once: eight at once on two cores take ten times as long as eight one after the other."""

    def __init__(self, slots: int | None = None) -> None:
        self._free = slots or os.cpu_count() or 2
        self._slots = asyncio.Semaphore(self._free)

    @property
    def free(self) -> int:
        """How many places are free."""
        return self._free

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[Callable[[], None]]:
        """Wait for a place; calling what is yielded says that this agent is up and frees it, as leaving does."""
        await self._slots.acquire()
        self._free -= 1
        held = True

        def up() -> None:
            nonlocal held
            if held:
                held = False
                self._free += 1
                self._slots.release()

        try:
            yield up
        finally:
            up()
