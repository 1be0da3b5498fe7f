"""One process owns a state directory and carries out runs; every other one asks it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ccterm.service.lock import DaemonLock
from ccterm.state_dir import StateDir

if TYPE_CHECKING:  # who only reads does without the service
    from ccterm.service.protocol import Service
    from ccterm.service.reader import Reader


@asynccontextmanager
async def open_service(state_dir: Path | None = None) -> "AsyncIterator[Service]":
    """Own the state directory, or attach to the process that does. Raises StateError and DaemonError."""
    state = _prepared(state_dir)
    lock = DaemonLock(state)
    if lock.try_acquire():
        from ccterm.daemon.wiring import owning  # deferred: all that carries runs out, which who attaches does without

        try:
            async with owning(state, os.environ) as service:
                yield service
        finally:
            lock.release()
    else:
        from ccterm.service.remote import attached  # deferred: the orders

        with attached(state, lock) as service:
            yield service


@asynccontextmanager
async def open_record(state_dir: Path | None = None) -> "AsyncIterator[Reader]":
    """Read the record; where an owner died over something, become the owner first and recover it. Raises StateError and DaemonError."""
    from ccterm.service.reader import at_rest, reading  # deferred: the store

    state = _prepared(state_dir)
    if DaemonLock(state).holder() or at_rest(state):
        with reading(state) as record:
            yield record
    else:
        async with open_service(state.path) as service:
            yield service


def _prepared(state_dir: Path | None) -> StateDir:
    return (StateDir(state_dir) if state_dir else StateDir.from_environment(os.environ)).prepare()
