"""`ccterm owner`: the process that `ccterm` starts to carry runs out, and that stays when its terminal is closed."""

import asyncio
import os
import signal

from ccterm.causes import ExitCode
from ccterm.cli.console import carry_out, state_dir
from ccterm.service.lock import DaemonLock
from ccterm.daemon.server import Connections
from ccterm.daemon.spawn import until_idle
from ccterm.daemon.wiring import owning


def own(idle: float) -> ExitCode:
    """Own the state directory until nobody needs it any more, or a signal stops all runs; another owner is left alone."""
    carry_out(_own(idle))
    return ExitCode.OK


async def _own(idle: float) -> None:
    with DaemonLock(state_dir().prepare()) as lock:
        if not lock.try_acquire():
            return
        visits, stopped, loop = Connections(), asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        async with owning(state_dir(), os.environ, visits) as service:
            waits = [asyncio.ensure_future(until_idle(service, visits, idle)), asyncio.ensure_future(stopped.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if stopped.is_set():
                await service.cancel_all()
