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
    from ccterm.settings import Settings
    from ccterm.tui.memory import Memory
    from ccterm.tui.notices import Send

AGAIN_SECONDS = 1.0
"""When it is tried again to start a daemon."""
OpenService = Callable[[], "AbstractAsyncContextManager[Service]"]
"""Connects to the service for as long as the block lasts; local and remote services look the same to the terminal."""
Load = Callable[[], "tuple[Settings, Memory, Send]"]
"""Reads what the app is provided with; called in a thread, so that the terminal can be used meanwhile. Raises SettingsError."""


async def run(app: CctermApp, open_service: OpenService, load: Load | None = None) -> int:
    """Run the app to its end and return its exit code. Raises what loading raises, and CctermError when the service cannot be reached.

    After the first frame the app is provided with what `load` returns, unless it is already, and then the service is opened. It is closed
    once the app has given the terminal back.
    """
    left = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, app.exit)
    serving = asyncio.ensure_future(_serve(app, open_service, load, left))
    serving.add_done_callback(lambda _: _leave(app, left))
    try:
        await app.run_async()
    finally:
        left.set()
        if app.service is None:
            serving.cancel()
        [error] = await asyncio.gather(serving, return_exceptions=True)
    if isinstance(error, Exception):
        raise error
    return app.return_code or 0


def _leave(app: CctermApp, left: asyncio.Event) -> None:
    """End an app whose service has ended: the screen would show nothing that is true any more. One that has ended keeps its exit code."""
    if not left.is_set():
        app.exit()


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


async def _serve(app: CctermApp, open_service: OpenService, load: Load | None, left: asyncio.Event) -> None:
    await app.first_frame.wait()
    if load:
        settings, memory, send = await asyncio.to_thread(load)
        app.provide(settings, memory, send=send)
        app.call_later(app.begin)
    gc.freeze()
    gc.enable()
    async with open_service() as service, daemon_watched(app, service):
        app.connected(service)
        await left.wait()
        from ccterm.tui.farewell import farewell, runs_as_left  # deferred: nothing needs it before

        leaving = app.leaving or [view.run.id for view in app.runs if not view.run.state.final]
        if not app.detached:  # runs are active only when a signal ended the app: otherwise the user has decided
            await service.cancel_all()
        app.farewell = farewell(await runs_as_left(service, leaving, stopped=not app.detached))
