"""The daemon as a process of its own: carries runs out until it has been idle for long enough, or a signal stops it."""

import asyncio
import signal
import time
from collections.abc import Mapping

from ccterm.daemon.server import Connections
from ccterm.daemon.wiring import serving
from ccterm.service.local import LocalService
from ccterm.service.lock import DaemonLock
from ccterm.state_dir import StateDir


async def run_daemon(state: StateDir, environ: Mapping[str, str], idle_seconds: float) -> None:
    """Be the daemon until it was idle for so long, or a signal stops all runs; returns at once when another process is the daemon."""
    with DaemonLock(state.prepare()) as lock:
        if not await lock.acquire():
            return
        connections, retired, loop = Connections(), asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, connections.dismissed.set)

        def retire() -> bool:
            """End unless somebody else than the one who asks is connected."""
            if connections.open <= 1:
                retired.set()
            return retired.is_set()

        async with serving(state, environ, connections, retire) as service:
            waits = [
                asyncio.ensure_future(each)
                for each in (until_idle(service, connections, idle_seconds), connections.dismissed.wait(), retired.wait())
            ]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if connections.dismissed.is_set():
                service.refuse_runs()
                await service.cancel_all()


async def until_idle(service: LocalService, connections: Connections, seconds: float) -> None:
    """Return once there was neither a run nor a connection for so long."""
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < seconds:
        await asyncio.sleep(min(1.0, seconds / 4))
        if service.busy or connections.open:
            quiet_since = time.monotonic()
