"""What can be known of runs. Nothing here changes anything, nor needs the parts that do: a command that only reads starts at once.

`Reader` is the reading half of every Service; `RecordReader` has it from the files of a state directory alone.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from ccterm.service.lock import DaemonLock
from ccterm.errors import StateError, UnknownRun
from ccterm.events import Event
from ccterm.models import PendingChange, Run, RunId, State
from ccterm.state_dir import StateDir
from ccterm.store import Store
from ccterm.transcript import EVENTS_FILE, follow
from ccterm.workspace.fetch import fetch
from ccterm.workspace.work import patch_of

SAVING_SECONDS = 5.0


class Reader(ABC):
    """Answers questions about runs. Every method raises CctermError and nothing else for an expected fault."""

    @property
    @abstractmethod
    def state(self) -> StateDir:
        """The state directory whose runs these are."""

    @abstractmethod
    async def find(self, ref: str) -> Run:
        """Return the run of an id, a unique prefix or `last`. Raises UnknownRun."""

    @abstractmethod
    async def runs(self, *, states: Sequence[State] = (), since: datetime | None = None, limit: int | None = None) -> list[Run]:
        """Return runs, oldest first."""

    @abstractmethod
    def follow(self, run: RunId, *, after: int = -1, live: bool = True) -> AsyncIterator[Event]:
        """Yield a run's events from number `after` + 1 to its `finished`, as they happen; not live: those that are there."""

    def transcript(self, run: RunId) -> Path:
        """Return the file that a run's transcript is in, or will be."""
        return self.state.run(run) / EVENTS_FILE

    async def patch(self, run: RunId) -> bytes | None:
        """Return what a run changed, as the bytes that git made, or None when it made no commit."""
        path = patch_of(await self.find(run), self.state)
        return await asyncio.to_thread(path.read_bytes) if path else None

    async def pending(self, run: RunId) -> list[PendingChange]:
        """Return what a run would change in the working copy, path by path; nothing when it keeps no such changes."""
        from ccterm.workspace.apply.changeset import pending_changes  # deferred: it brings git and the policy, which few questions need

        return await asyncio.to_thread(pending_changes, await self.find(run))

    async def fetch(self, run: RunId, repo: Path, worktree: Path | None = None) -> str:
        """Bring a run's commit into a local repository and return the ref that names it there. Raises UsageError."""
        return await asyncio.to_thread(fetch, await self.find(run), self.state, repo, worktree)

    async def wait(self, run: RunId) -> Run:
        """Return a run once it has ended."""
        async for _ in self.follow(run):
            continue
        return await self.find(run)


class RecordReader(Reader):
    """Reads the files, whether there is an owner or not, and whether it answers. owned: whether there is one."""

    def __init__(self, state: StateDir, store: Store, owned: Callable[[], bool]) -> None:
        self._state = state
        self._store = store
        self._owned = owned

    @property
    def state(self) -> StateDir:
        """The state directory."""
        return self._state

    async def find(self, ref: str) -> Run:
        """Return the run of an id, a unique prefix or `last`."""
        return await asyncio.to_thread(self._store.find, ref)

    async def runs(self, *, states: Sequence[State] = (), since: datetime | None = None, limit: int | None = None) -> list[Run]:
        """Return runs, oldest first."""
        return await asyncio.to_thread(self._store.list, states=states, since=since, limit=limit)

    async def follow(self, run: RunId, *, after: int = -1, live: bool = True) -> AsyncIterator[Event]:
        """Yield a run's events as they happen; ends early when the owner dies."""
        async for batch in follow(self._state.run(run), after, alive=lambda: live and self._under_way(run)):
            for event in batch:
                yield event
        with suppress(TimeoutError):  # the document is saved a moment after the last event
            async with asyncio.timeout(SAVING_SECONDS):
                while live and await asyncio.to_thread(self._under_way, run):  # noqa: ASYNC110 - another process saves it
                    await asyncio.sleep(0.02)

    def _under_way(self, run: RunId) -> bool:
        return self._owned() and not self._store.get(run).state.final


@contextmanager
def reading(state: StateDir) -> Iterator[RecordReader]:
    """Open the record to be read. Raises StateError when it cannot be."""
    with closing(Store.open(state.db, readonly=True)) as store:
        yield RecordReader(state, store, owned=lambda: DaemonLock(state).holder() is not None)


def at_rest(state: StateDir) -> bool:
    """Whether the last owner left nothing that only an owner can bring to an end, and a record that can be read as it is."""
    try:
        with closing(Store.open(state.db, readonly=True)) as store:
            return not store.unfinished() and not _broken_off(state, store)
    except StateError:
        return False  # an owner brings it to this version, or says what is wrong


def _broken_off(state: StateDir, store: Store) -> bool:
    """Whether an apply or an undo ended half-way, or before the run's document could say so."""
    if not any(state.journal.iterdir()):
        return False
    from ccterm.workspace.apply.journal import Phase, phases  # deferred: who works on branches alone has no journals

    return any(phase is Phase.APPLYING or (phase is Phase.DONE and not _noted(store, run)) for run, phase in phases(state.journal))


def _noted(store: Store, run: RunId) -> bool:
    try:
        return store.get(run).synced is not None
    except UnknownRun:
        return True  # nobody to tell
