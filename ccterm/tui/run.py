"""Runs the terminal: connects the app to the service, and ends both together."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from ccterm.errors import CctermError
from ccterm.tui.app import CctermApp

if TYPE_CHECKING:  # importing the service takes long, and the first frame does not need it
    from ccterm.service.protocol import Service
    from ccterm.service.remote import RemoteService

AGAIN_SECONDS = 1.0
"""When it is tried again to start a daemon."""
OpenService = Callable[[], "AbstractAsyncContextManager[Service]"]
"""Connects to the service for as long as the block lasts; local and remote services look the same to the terminal."""


async def run(app: CctermApp, open_service: OpenService) -> int:
    """Run the app to its end and return its exit code. Raises CctermError when the service cannot be reached.

    The service is opened after the first frame, and closed once the app has given the terminal back.
    """
    left, errors = asyncio.Event(), list[CctermError]()
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, app.exit)
    serving = asyncio.ensure_future(_serve(app, open_service, left, errors))
    try:
        await app.run_async()
    finally:
        left.set()
        if app.service is None:
            serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    if errors:
        raise errors[0]
    return app.return_code or 0


@asynccontextmanager
async def daemon_watched(app: CctermApp, service: "Service") -> AsyncIterator[None]:
    """Tell the app at once when the daemon dies, and start another one, which keeps what the runs left; nothing where there is none."""
    from ccterm.service.remote import RemoteService  # deferred: the first frame does not need it

    watching = asyncio.ensure_future(_watch_daemon(app, service)) if isinstance(service, RemoteService) else None
    try:
        yield
    finally:
        if watching:
            watching.cancel()
            await asyncio.wait([watching])


async def _watch_daemon(app: CctermApp, service: "RemoteService") -> None:
    while True:
        try:
            async with service.staying() as ended:
                app.daemon_there()
                await ended
            app.daemon_lost()
        except (CctermError, OSError) as error:
            app.daemon_lost(str(error))
            await asyncio.sleep(AGAIN_SECONDS)


async def _serve(app: CctermApp, open_service: OpenService, left: asyncio.Event, errors: list[CctermError]) -> None:
    await app.first_frame.wait()
    gc.freeze()
    gc.enable()
    try:
        async with open_service() as service, daemon_watched(app, service):
            app.connected(service)
            await left.wait()
            if not app.detached:  # runs are active only when a signal ended the app: otherwise the user has decided
                await service.cancel_all()
    except CctermError as error:
        errors.append(error)
        app.exit()
