"""How the terminal reaches the service, and how the two are brought to an end together."""

import asyncio
import gc
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ccterm.errors import CctermError
from ccterm.tui.app import CctermApp

if TYPE_CHECKING:  # the service brings all that carries runs out; the first frame does without
    from ccterm.service.protocol import Service


@dataclass(frozen=True)
class Door:
    """open: reaches the service, for as long as the block lasts; the terminal does not know which of the two it gets.

    outlives: whether runs go on when the terminal is closed, because another process carries them out.
    """

    open: "Callable[[], AbstractAsyncContextManager[Service]]"
    outlives: bool = False


async def run_terminal(app: CctermApp, door: Door) -> int:
    """Run the app to its end and return its exit code. Raises CctermError when the service cannot be reached.

    The service is reached while the first frame is on the screen already, and let go of when the app has given the terminal back.
    """
    left, faults = asyncio.Event(), list[CctermError]()
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, app.exit)
    serving = asyncio.ensure_future(_serve(app, door, left, faults))
    try:
        await app.run_async()
    finally:
        left.set()
        if app.service is None:
            serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    if faults:
        raise faults[0]
    return app.return_code or 0


async def _serve(app: CctermApp, door: Door, left: asyncio.Event, faults: list[CctermError]) -> None:
    await app.shown.wait()
    gc.freeze()
    gc.enable()
    try:
        async with door.open() as service:
            app.reached(service)
            await left.wait()
            if not door.outlives:  # with live runs only when a signal ended the app: else its user was asked
                await service.cancel_all()
    except CctermError as error:
        faults.append(error)
        app.exit()
