"""One process owns a state directory and carries out runs; every other one asks it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ccterm.owner.lock import OwnerLock
from ccterm.service import Service
from ccterm.state_dir import StateDir


@asynccontextmanager
async def open_service(state_dir: Path | None = None) -> AsyncIterator[Service]:
    """Own the state directory, or attach to the process that does. Raises StateError and OwnerError."""
    state = (StateDir(state_dir) if state_dir else StateDir.from_environment(os.environ)).prepare()
    lock = OwnerLock(state)
    if lock.try_acquire():
        from ccterm.owner.build import owning

        try:
            async with owning(state, os.environ) as service:
                yield service
        finally:
            lock.release()
    else:
        from ccterm.owner.remote import attached

        with attached(state, lock) as service:
            yield service
