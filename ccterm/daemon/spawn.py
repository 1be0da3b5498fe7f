"""Starts a daemon in the background, so that runs go on when the terminal is closed."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from ccterm.daemon.machine import ThisMachine
from ccterm.errors import DaemonError
from ccterm.service.caller import with_full_paths
from ccterm.service.connection import changed_over, replace_other
from ccterm.service.lock import DaemonLock
from ccterm.service.remote import RemoteService, Revive, attached
from ccterm.state_dir import StateDir, private_file

START_SECONDS = 20.0
AGAIN_SECONDS = 1.0
LOG = "daemon.log"
_log = logging.getLogger(__name__)


@asynccontextmanager
async def attached_or_started(state: StateDir, environ: Mapping[str, str]) -> AsyncIterator[RemoteService]:
    """Attach to the daemon, starting one when none runs; it stays up while the block lasts. Raises DaemonError and StateError."""
    lock = DaemonLock(state.prepare())
    revive = reviving(state, lock, environ)
    await replace_other(state, lock)
    await revive()
    with attached(state, lock, ThisMachine(state, environ), revive) as service:
        async with service.staying():
            yield service


def reviving(state: StateDir, lock: DaemonLock, environ: Mapping[str, str]) -> Revive:
    """Return what starts a daemon when none runs; it raises DaemonError."""

    async def revive() -> None:
        await changed_over(state, lock)
        if lock.holder() is None:
            await _start(state, lock, environ)

    return revive


@asynccontextmanager
async def keep_running(service: RemoteService) -> AsyncIterator[None]:
    """Start the daemon again whenever it dies, for as long as the block lasts: others wait for what it carries out."""
    watching = asyncio.ensure_future(_revive(service))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def _revive(service: RemoteService) -> None:
    while True:
        try:
            async with service.staying() as ended:
                await ended
        except (DaemonError, OSError) as error:
            _log.warning("%s", error)
            await asyncio.sleep(AGAIN_SECONDS)


async def _start(state: StateDir, lock: DaemonLock, environ: Mapping[str, str]) -> None:
    """Start a daemon and wait until it takes commands."""
    process = await asyncio.to_thread(_spawn, state, environ)
    try:
        async with asyncio.timeout(START_SECONDS):
            while lock.holder() is None or not state.socket_address.exists():
                if process.poll():
                    raise DaemonError(f"the daemon could not start: {_last_words(state)}", "ccterm --foreground does without one")
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise DaemonError("the daemon does not start", f"{state.path / LOG} may say why") from error


def _spawn(state: StateDir, environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start a daemon in a session of its own, which outlives the terminal and receives none of its signals."""
    log = private_file(state.path / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        return subprocess.Popen(
            [sys.executable, *(["-I"] if sys.flags.isolated else []), "-m", "ccterm", "daemon"],
            env=with_full_paths(environ) | {"CCTERM_STATE_DIR": str(state.path)},
            cwd="/",  # it must neither keep a directory busy nor depend on one that is removed
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    finally:
        os.close(log)


def _last_words(state: StateDir) -> str:
    """Return what the daemon said last, with the fix that stands on a line below it."""
    said = (state.path / LOG).read_text("utf-8", "replace").strip().rpartition("ccterm: ")[2].split("\n")
    return "; ".join(line.strip() for line in said[-2:] if line.strip()) or f"{LOG} is empty"
