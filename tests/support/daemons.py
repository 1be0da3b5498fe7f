"""Ending the daemon of a test's state directory."""

import os
import signal
from contextlib import suppress

from ccterm.service.lock import DaemonLock
from ccterm.state_dir import StateDir
from tests.support.waiting import until, wait_until


def end_daemon(state: StateDir) -> None:
    """End the daemon of a state directory, if there is one. Raises TimeoutError when it stays."""
    _terminate(state)
    wait_until(lambda: DaemonLock(state).holder() is None)


async def daemon_ended(state: StateDir) -> None:
    """Do as `end_daemon` while the loop runs."""
    _terminate(state)
    await until(lambda: DaemonLock(state).holder() is None)


def _terminate(state: StateDir) -> None:
    if holder := DaemonLock(state).holder():
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(holder.pid, signal.SIGTERM)
