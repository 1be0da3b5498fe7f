"""The record as whoever only reads has it, beside an owner or without one."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from ccterm.errors import StateError, UnknownRun
from ccterm.models import RunId
from ccterm.owner.lock import OwnerLock
from ccterm.reading import RecordReader
from ccterm.state_dir import StateDir
from ccterm.store import Store


@contextmanager
def reading(state: StateDir) -> Iterator[RecordReader]:
    """Open the record to be read. Raises StateError when it cannot be."""
    with closing(Store.open(state.db, readonly=True)) as store:
        yield RecordReader(state, store, owned=lambda: OwnerLock(state).holder() is not None)


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
    from ccterm.workspace.journal import Phase, phases  # deferred: who works on branches alone has no journals

    return any(phase is Phase.APPLYING or (phase is Phase.DONE and not _noted(store, run)) for run, phase in phases(state.journal))


def _noted(store: Store, run: RunId) -> bool:
    try:
        return store.get(run).synced is not None
    except UnknownRun:
        return True  # nobody to tell
