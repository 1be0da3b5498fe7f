"""The making of ccterm's own image, for whoever watches."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager

from ccterm.daemon.wiring import dagger_executor
from ccterm.executors.dagger.command import progress
from ccterm.models import ImageChoice
from ccterm.settings import load_settings
from ccterm.state_dir import StateDir


async def making(state: StateDir, environ: Mapping[str, str]) -> AsyncGenerator[str, None]:
    """Make the image unless it is there, and yield what that says, line by line. Raises PreflightError and SettingsError."""
    settings = await asyncio.to_thread(load_settings, None, environ)
    said = asyncio.Queue[str | None]()
    async with dagger_executor(settings, state, environ) as executor:
        with _heard(said):
            work = asyncio.ensure_future(executor.build_image(ImageChoice()))
            work.add_done_callback(lambda _: said.put_nowait(None))
            try:
                while (line := await said.get()) is not None:
                    yield line
                await work
            finally:  # whoever watches may leave in the middle
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)


@contextmanager
def _heard(said: "asyncio.Queue[str | None]") -> Iterator[None]:
    """Put all that is told of progress into a queue."""
    handler, before = _Listener(said), progress.level
    progress.addHandler(handler)
    progress.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        progress.removeHandler(handler)
        progress.setLevel(before)


class _Listener(logging.Handler):
    def __init__(self, said: "asyncio.Queue[str | None]") -> None:
        super().__init__()
        self._said = said
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        self._loop.call_soon_threadsafe(self._said.put_nowait, record.getMessage())
