"""One process owns a state directory and carries out runs; every other one asks it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ccterm.owner.lock import OwnerLock
from ccterm.state_dir import StateDir

if TYPE_CHECKING:  # who only reads does without the service
    from ccterm.reading import Reader
    from ccterm.service import Service


@asynccontextmanager
async def open_service(state_dir: Path | None = None) -> "AsyncIterator[Service]":
    """Own the state directory, or attach to the process that does. Raises StateError and OwnerError."""
    state = _prepared(state_dir)
    lock = OwnerLock(state)
    if lock.try_acquire():
        from ccterm.owner.build import owning  # deferred: all that carries runs out, which who attaches does without

        try:
            async with owning(state, os.environ) as service:
                yield service
        finally:
            lock.release()
    else:
        from ccterm.owner.remote import attached  # deferred: the orders

        with attached(state, lock) as service:
            yield service


@asynccontextmanager
async def open_record(state_dir: Path | None = None) -> "AsyncIterator[Reader]":
    """Read the record; where an owner died over something, become the owner first and recover it. Raises StateError and OwnerError."""
    from ccterm.owner.record import at_rest, reading  # deferred: the store

    state = _prepared(state_dir)
    if OwnerLock(state).holder() or at_rest(state):
        with reading(state) as record:
            yield record
    else:
        async with open_service(state.path) as service:
            yield service


def _prepared(state_dir: Path | None) -> StateDir:
    return (StateDir(state_dir) if state_dir else StateDir.from_environment(os.environ)).prepare()
