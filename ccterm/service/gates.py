"""What may keep a queued run from starting: each gate knows one reason, and signals when its answers may have changed."""

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from ccterm.events import Event, Finished, Waiting
from ccterm.models import BatchId, ExecutionMode, Run, RunId

if TYPE_CHECKING:
    from ccterm.service.credential_gate import AgentLogin

Key = tuple[str, str]
"""What a run has to itself: (the remote's key, branch), or (working copy, "")."""


class Availability(Protocol):
    """What of an executor decides whether a run may start on it."""

    def trouble(self) -> str:
        """Return why no run can start there at the moment, or ""."""
        ...

    def capacity(self) -> int | None:
        """Return how many runs may be there at once; None = any number."""
        ...


@dataclass(frozen=True)
class QueueEntry:
    """One run for the scheduler, with the limits of whoever submitted it: None = none.

    at_once: how many runs of its batch may run at once; then it need not be as the pool allows. pool: how many runs may in total, on_remote: how
    many on its remote. executor: None = runs can always start. credential: the login of its agent; None = it needs none.
    idle_after: seconds after which a run that waits for its user frees its slot; None = never.
    """

    run: RunId
    batch: BatchId
    key: Key
    execution_mode: ExecutionMode
    at_once: int | None = None
    executor: Availability | None = None
    pool: int | None = None
    on_remote: int | None = None
    credential: "AgentLogin | None" = None
    idle_after: float | None = None
    label: str = ""
    """What the run is called in messages."""


class UnderWay:
    """The runs that have started and not ended, and deliveries of ended ones, which occupy a branch too. All questions are O(1)."""

    def __init__(self) -> None:
        self._entries: dict[RunId, QueueEntry] = {}
        self._on: dict[Key, QueueEntry] = {}
        self._batches: Counter[BatchId] = Counter()
        self._executors: Counter[int] = Counter()
        self._remotes: Counter[str] = Counter()
        self._idle: set[RunId] = set()
        self._changed: Callable[[], None] = lambda: None
        self.widest = 0
        """The largest `at_once` of the batches under way."""

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: QueueEntry) -> None:
        """Count an entry in."""
        self._entries[entry.run] = entry
        self._on[entry.key] = entry
        self._count(entry, 1)

    def remove(self, entry: QueueEntry) -> None:
        """Count an entry out."""
        self._idle.discard(entry.run)
        del self._entries[entry.run], self._on[entry.key]
        self._count(entry, -1)

    def _count(self, entry: QueueEntry, by: int) -> None:
        self._batches[entry.batch] += by
        self._executors[id(entry.executor)] += by
        self._remotes[entry.key[0]] += by
        self.widest = max((live.at_once or 0 for live in self._entries.values()), default=0)

    def on(self, key: Key) -> QueueEntry | None:
        """Return the entry that has this branch or working copy."""
        return self._on.get(key)

    def watch(self, changed: Callable[[], None]) -> None:
        """Have `changed` called whenever a run frees its slot before its end."""
        self._changed = changed

    def idle_after(self, run: RunId) -> float | None:
        """Return after how many seconds of waiting a run frees its slot; None = never."""
        return self._entries[run].idle_after if run in self._entries else None

    def set_idle(self, run: RunId, *, idle: bool) -> None:
        """Free the slot of a run that waits for its user, or give it back."""
        if idle and run in self._entries:
            self._idle.add(run)
            self._changed()
        else:
            self._idle.discard(run)

    def at_work(self, batch: BatchId | None = None) -> int:
        """Return how many runs have a slot, in all or of a batch."""
        idle = [self._entries[run].batch for run in self._idle]
        return len(self) - len(idle) if batch is None else self.of_batch(batch) - idle.count(batch)

    def of_batch(self, batch: BatchId) -> int:
        """Return how many runs of a batch are under way."""
        return self._batches[batch]

    def on_remote(self, key: str) -> int:
        """Return how many runs are under way on a remote, by its key."""
        return self._remotes[key]

    def on_executor(self, executor: Availability | None) -> int:
        """Return how many runs are under way on an executor."""
        return self._executors[id(executor)]


class WaitingRuns:
    """Frees the slots of runs whose agents wait for input or for permission, and takes them back when they go on.

    An agent that goes on does so at once: then there may be more at work than slots, until one of them ends.
    """

    def __init__(self, under_way: UnderWay) -> None:
        self._under_way = under_way
        self._timers: dict[RunId, asyncio.TimerHandle] = {}

    def heard(self, event: Event) -> None:
        """Take note of an event of a run."""
        if isinstance(event, Waiting | Finished):
            if timer := self._timers.pop(event.run, None):
                timer.cancel()
            self._under_way.set_idle(event.run, idle=False)
            seconds = self._under_way.idle_after(event.run)
            if isinstance(event, Waiting) and event.until and seconds is not None:
                self._timers[event.run] = asyncio.get_running_loop().call_later(seconds, self._free, event.run)

    def _free(self, run: RunId) -> None:
        self._timers.pop(run, None)
        self._under_way.set_idle(run, idle=True)


class Gate(Protocol):
    """One reason for which a queued run may have to wait. Gates inherit from it: most need no signal and no hook."""

    turn: ClassVar[bool] = False
    """Whether runs merely wait for their turn: they are shown as queued, not as held."""

    @abstractmethod
    def reason(self, entry: QueueEntry) -> str:
        """Return why the run may not start now, for its user; "" when it may. Must be quick: every queued run asks at every change."""

    def watch(self, changed: Callable[[], None]) -> None:  # noqa: ARG002 - for the gates that have a signal
        """Have `changed` called whenever answers may have changed, other than because a run started or ended."""
        return

    def run_finished(self, run: Run) -> None:  # noqa: ARG002 - for the gates that learn from runs
        """Take note of how a run ended; called before queued runs are looked at again."""
        return


class CapacityGate(Gate):
    """Limits how many runs go at once; those that have long waited for their user do not count. A batch may have a limit of its own."""

    turn = True

    def __init__(self, under_way: UnderWay) -> None:
        self._under_way = under_way

    def reason(self, entry: QueueEntry) -> str:
        """Return that there is no free slot."""
        room = entry.pool is None or self._under_way.at_work() < max(entry.pool, self._under_way.widest, entry.at_once or 0)
        if entry.at_once is not None:
            room = room and self._under_way.at_work(entry.batch) < entry.at_once
        return "" if room else "waiting for a free slot"

    def watch(self, changed: Callable[[], None]) -> None:
        """Signal when a run that waits for its user frees its slot."""
        self._under_way.watch(changed)


DESCRIPTORS_A_RUN = 8
"""Files, pipes and sockets that a run keeps open in this process: six were counted, and steps need more for moments."""
DESCRIPTORS_AT_LEAST = 64
"""What this process needs for everything else: the store, the socket, connections, and threads that run git."""


def descriptors_for(runs: int) -> int:
    """Return the limit of open files that so many runs at once need."""
    return DESCRIPTORS_AT_LEAST + runs * DESCRIPTORS_A_RUN


class DescriptorGate(Gate):
    """Lets only so many runs go at once as this process may have files open for; one always goes. limit: files that may be open."""

    turn = True

    def __init__(self, under_way: UnderWay, limit: int) -> None:
        self._under_way = under_way
        self._fit = max(1, (limit - DESCRIPTORS_AT_LEAST) // DESCRIPTORS_A_RUN)
        self._limit = limit

    def reason(self, entry: QueueEntry) -> str:  # noqa: ARG002 - it is the same for all
        """Return how many runs at once the limit allows."""
        if len(self._under_way) < self._fit:
            return ""
        needed = f"40 at once need ulimit -n {descriptors_for(40)}"
        return f"{self._limit} file descriptors are enough for {self._fit} run{'' if self._fit == 1 else 's'} at once; {needed}"


class RepositoryGate(Gate):
    """Limits how many runs on one remote go at once."""

    turn = True

    def __init__(self, under_way: UnderWay) -> None:
        self._under_way = under_way

    def reason(self, entry: QueueEntry) -> str:
        """Return that as many runs as may are under way on the repository."""
        limit = entry.on_remote
        full = limit is not None and self._under_way.on_remote(entry.key[0]) >= limit
        return f"waiting for a free slot of the repository (max_concurrent = {limit})" if full else ""


class BusyGate(Gate):
    """Lets one run at a time have a branch or a working copy."""

    def __init__(self, under_way: UnderWay) -> None:
        self._under_way = under_way

    def reason(self, entry: QueueEntry) -> str:
        """Return which run has the branch or the working copy."""
        rival = self._under_way.on(entry.key)
        return f"{'branch' if entry.key[1] else 'working copy'} busy ({rival.label})" if rival else ""


class RecoveryGate(Gate):
    """Keeps runs off a branch or a working copy while the work that a lost run did there is still being kept."""

    def __init__(self) -> None:
        self._entries: dict[RunId, QueueEntry] = {}
        self._changed: Callable[[], None] = lambda: None

    def reason(self, entry: QueueEntry) -> str:
        """Return which lost run has the branch or the working copy."""
        lost = self.on(entry.key)
        return f"{'branch' if entry.key[1] else 'working copy'} busy ({lost.label} is being recovered)" if lost else ""

    def watch(self, changed: Callable[[], None]) -> None:
        """Signal when a lost run is at its end."""
        self._changed = changed

    def on(self, key: Key) -> QueueEntry | None:
        """Return the entry of the lost run that has this branch or working copy."""
        return next((entry for entry in self._entries.values() if entry.key == key), None)

    def hold(self, entry: QueueEntry) -> None:
        """Let nothing else begin where a lost run worked."""
        self._entries[entry.run] = entry

    def release(self, run: RunId) -> None:
        """Let others begin there again."""
        self._entries.pop(run, None)
        self._changed()


class ExecutorGate(Gate):
    """Holds runs while their executor is away. watch: has a function called whenever something changed with any executor."""

    def __init__(self, watch: Callable[[Callable[[], None]], None]) -> None:
        self._watch = watch

    def reason(self, entry: QueueEntry) -> str:
        """Return what is wrong with the executor."""
        return entry.executor.trouble() if entry.executor else ""

    def watch(self, changed: Callable[[], None]) -> None:
        """Pass on the executors' own signals."""
        self._watch(changed)


class RoomGate(Gate):
    """Lets only as many runs on an executor go at once as it takes. The signal is that of the `ExecutorGate`."""

    turn = True

    def __init__(self, under_way: UnderWay) -> None:
        self._under_way = under_way

    def reason(self, entry: QueueEntry) -> str:
        """Return that the executor is full."""
        capacity = entry.executor.capacity() if entry.executor else None
        full = capacity is not None and self._under_way.on_executor(entry.executor) >= capacity
        return "the engine has no room for another run" if full else ""
