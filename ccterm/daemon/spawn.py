"""An owner of its own, so that runs go on when the terminal is closed: started by the first who needs one, gone when nobody does."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from ccterm.service.lock import DaemonLock
from ccterm.daemon.server import Connections
from ccterm.errors import DaemonError
from ccterm.service.protocol import Service
from ccterm.service.remote import attached
from ccterm.state_dir import StateDir, private_file

IDLE_SECONDS = 600.0
"""How long an owner stays that has neither runs nor visitors."""
START_SECONDS = 20.0
_PATHS = ("CCTERM_CLAUDE_BIN", "CCTERM_DAGGER_CLI", "CCTERM_BASE_IMAGE")
LOG = "owner.log"


class Busy(Protocol):
    """Who may still have something to do."""

    @property
    def busy(self) -> bool:
        """Whether a run is queued or under way."""
        ...


@asynccontextmanager
async def attached_or_started(state: StateDir, environ: Mapping[str, str]) -> AsyncIterator[Service]:
    """Attach to the owner, starting one when there is none; it does not leave while the block lasts. Raises DaemonError and StateError."""
    lock = DaemonLock(state.prepare())

    async def revive() -> None:
        if lock.holder() is None:
            await _start(state, lock, environ)

    await revive()
    with attached(state, lock, revive) as service:
        async with service.staying():
            yield service


async def _start(state: StateDir, lock: DaemonLock, environ: Mapping[str, str]) -> None:
    """Start an owner and wait until it takes orders."""
    process = await asyncio.to_thread(_spawn, state, environ)
    try:
        async with asyncio.timeout(START_SECONDS):
            while lock.holder() is None or not state.socket_address.exists():
                if process.poll():
                    raise DaemonError(
                        f"the owner of the state directory could not start: {_last_words(state)}", "ccterm --foreground does without one"
                    )
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise DaemonError("the owner of the state directory does not start", f"{state.path / LOG} may say why") from error


def _spawn(state: StateDir, environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start an owner in a session of its own, which outlives the terminal and hears none of its signals."""
    log = private_file(state.path / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        return subprocess.Popen(
            [sys.executable, *(["-I"] if sys.flags.isolated else []), "-m", "ccterm", "owner"],
            env=_anchored(environ) | {"CCTERM_STATE_DIR": str(state.path)},
            cwd="/",  # it must not keep a directory busy, nor miss one that is removed
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    finally:
        os.close(log)


def _anchored(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with paths made absolute: the owner works in another directory."""
    found = dict(environ)
    for name in _PATHS:
        if "/" in found.get(name, "") and Path(found[name]).exists():
            found[name] = str(Path(found[name]).absolute())
    return found


def _last_words(state: StateDir) -> str:
    lines = (state.path / LOG).read_text("utf-8", "replace").strip().split("\n")
    return lines[-1].removeprefix("ccterm: ") or "it said nothing"


async def until_idle(service: Busy, visits: Connections, seconds: float) -> None:
    """Return when there was neither a run nor a visitor for so long."""
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < seconds:
        await asyncio.sleep(min(1.0, seconds / 4))
        if service.busy or visits.open:
            quiet_since = time.monotonic()
