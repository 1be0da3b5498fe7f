"""What can be learnt about runs from the files of a state directory, without changing any of them. Imports little: `ccterm runs` starts at once.

`Reader` is the reading half of every Service; `RecordReader` implements it from the files alone.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Unpack

from ccterm.errors import StateError, UnknownRun
from ccterm.events import Event, Finished
from ccterm.models import Run, RunId, RunRef, is_id
from ccterm.service.lock import DaemonLock
from ccterm.state_dir import StateDir
from ccterm.store import RunFilter, Store
from ccterm.transcript import EVENTS_FILE, follow
from ccterm.values import PendingChange

SAVING_SECONDS = 5.0


class Reader(ABC):
    """Answers questions about runs and changes nothing. Methods raise CctermError, and nothing else, for an expected error."""

    @property
    @abstractmethod
    def state(self) -> StateDir:
        """The state directory whose runs these are."""

    @abstractmethod
    async def find(self, ref: RunRef) -> Run:
        """Return the run that a caller means: by its id or the beginning of it, its number, its branch, or `last`. Raises UnknownRun."""

    @abstractmethod
    async def runs(self, **which: Unpack[RunFilter]) -> list[Run]:
        """Return the runs that fit, oldest first."""

    @abstractmethod
    def follow(self, run: RunRef, *, after: int = -1, live: bool = True) -> AsyncIterator[Event]:
        """Yield a run's events from number `after` + 1 to its `finished`, as they happen; not live: those recorded so far."""

    def transcript(self, run: RunId) -> Path:
        """Return the path of a run's transcript, which may not exist yet."""
        return self.state.run(run) / EVENTS_FILE

    async def patch(self, run: RunRef) -> bytes | None:
        """Return what a run changed as a patch, with secrets masked, or None when it made no commit; of a running one what somebody saw last."""
        from ccterm.workspace.masks import shown_patch  # deferred: imports git and the masker, which few questions need
        from ccterm.workspace.work import patch_of

        known = await self.find(run)
        path = patch_of(known, self.state)
        if path is None and not known.state.final:
            path = self.state.live_patch(known.id)
        try:
            return await asyncio.to_thread(shown_patch, path) if path else None
        except FileNotFoundError:  # nobody has looked, or the agent has ended since
            return None

    async def kept_bytes(self, run: RunRef) -> int:
        """Return how many bytes are kept of a run."""
        from ccterm.workspace.salvage import size_of  # deferred: one command needs it

        known = await self._id(run)
        directories = (self.state.salvage(known), self.state.boxes(known))
        return sum([await asyncio.to_thread(size_of, directory) for directory in directories])

    async def pending(self, run: RunRef) -> list[PendingChange]:
        """Return what a run would change in the working copy, path by path; empty when it keeps no such changes."""
        from ccterm.workspace.apply.changeset import pending_changes  # deferred: imports git and the policy, which few questions need

        return await asyncio.to_thread(pending_changes, await self.find(run))

    async def wait(self, run: RunRef) -> Run:
        """Return a run once it has ended, a failed one like any other."""
        known = await self._id(run)  # once: `last` may soon be another one
        async for _ in self.follow(known):
            continue
        return await self.find(known)

    async def _id(self, run: RunRef) -> RunId:
        """Return the id of the run that a caller means. Raises UnknownRun."""
        return RunId(run) if isinstance(run, str) and is_id(run) else (await self.find(run)).id


class RecordReader(Reader):
    """Reads the files, whether a daemon runs or not. daemon_alive: whether one does."""

    def __init__(self, state: StateDir, store: Store, daemon_alive: Callable[[], bool]) -> None:
        self._state = state
        self._store = store
        self._daemon_alive = daemon_alive

    @property
    def state(self) -> StateDir:
        """The state directory."""
        return self._state

    async def find(self, ref: RunRef) -> Run:
        """Return the run of a number, `last`, a branch, or an id or its beginning."""
        return await asyncio.to_thread(self._store.find, str(ref))

    def newest(self, most: int) -> list[Run]:
        """Return the newest runs, oldest first. Blocks."""
        return self._store.list(limit=most)

    async def runs(self, **which: Unpack[RunFilter]) -> list[Run]:
        """Return runs, oldest first."""
        return await asyncio.to_thread(self._store.list, **which)

    async def follow(self, run: RunRef, *, after: int = -1, live: bool = True) -> AsyncIterator[Event]:
        """Yield a run's events as they happen; ends early when the daemon dies. Whoever was told of the end finds the run ended."""
        known = await self._id(run)
        async for batch in follow(self._state.run(known), after, alive=lambda: live and self._under_way(known)):
            for event in batch:
                if isinstance(event, Finished):
                    await self._saved(known)
                yield event

    async def _saved(self, run: RunId) -> None:
        """Return once a run that has ended has its document, which is saved a moment after the last event."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SAVING_SECONDS):
                while await asyncio.to_thread(self._under_way, run):  # noqa: ASYNC110 - another process saves it
                    await asyncio.sleep(0.02)

    def _under_way(self, run: RunId) -> bool:
        return self._daemon_alive() and not self._store.get(run).state.final


@contextmanager
def reading(state: StateDir) -> Iterator[RecordReader]:
    """Open the store for reading. Raises StateError when that fails."""
    with closing(Store.open(state.db, readonly=True)) as store:
        yield RecordReader(state, store, daemon_alive=lambda: DaemonLock(state).holder() is not None)


def needs_recovery(state: StateDir) -> bool:
    """Whether the last daemon left something that only a daemon can finish, or a store that only a daemon can open."""
    try:
        with closing(Store.open(state.db, readonly=True)) as store:
            return bool(store.unfinished()) or _interrupted(state, store)
    except StateError:
        return True  # a daemon migrates it, or says what is wrong with it


def _interrupted(state: StateDir, store: Store) -> bool:
    """Whether an apply or an undo stopped half-way, or before the run's document recorded it."""
    if not any(state.journal.iterdir()):
        return False
    from ccterm.workspace.apply.journal import Phase, phases  # deferred: without testing runs there are no journals

    return any(phase is Phase.APPLYING or (phase is Phase.DONE and not _recorded(store, run)) for run, phase in phases(state.journal))


def _recorded(store: Store, run: RunId) -> bool:
    try:
        return store.get(run).synced is not None
    except UnknownRun:
        return True  # no document to record it in
