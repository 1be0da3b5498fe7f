"""The machine that this process runs on: its preflight checks, the images for boxes, and the Claude login that it lends to containers."""

import asyncio
import logging
import shutil
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ccterm.models import ExecutionMode
from ccterm.state_dir import StateDir
from ccterm.values import ImageChoice

if TYPE_CHECKING:
    from ccterm.credentials.export import Exported
    from ccterm.executors.base import Check
    from ccterm.executors.dagger.executor import DaggerExecutor
    from ccterm.executors.dagger.image_store import ImageRecord
    from ccterm.service.caller import CallerEnvironment


class ThisMachine:
    """What a service needs of the machine; light to make, since the executors are imported when they are first asked for."""

    def __init__(self, state: StateDir, environ: Mapping[str, str]) -> None:
        self.state = state
        self.environ = environ

    def questions(self, mode: ExecutionMode | None, repo: str | None = None, branch: str | None = None) -> "Sequence[Check]":
        """Return the preflight checks of an execution mode; None = the one that the settings choose. repo, branch: are checked, too.

        Raises SettingsError and BranchError.
        """
        from ccterm.daemon.wiring import checks_for  # deferred, as all here: it brings all executors

        return checks_for(mode, self.state, self.environ, repo, branch)

    def caller(self) -> "CallerEnvironment":
        """Return what of the environment counts for what is asked from here."""
        from ccterm.service.caller import CallerEnvironment
        from ccterm.settings import load_settings

        return CallerEnvironment.of(self.environ, load_settings(None, self.environ))

    async def export_login(self) -> "Exported":
        """Copy the user's Claude login for containers again."""
        from ccterm.credentials.claude import Logins
        from ccterm.credentials.export import export_login

        exported = await asyncio.to_thread(export_login, self.environ)
        used = await asyncio.to_thread(Logins().login_for, ExecutionMode.DAGGER, self.environ)
        return exported.model_copy(update={"instead": "" if used.kind == "access-token" else used.source})

    async def make_image(self) -> AsyncGenerator[str, None]:
        """Build ccterm's own image unless it exists and yield the output line by line."""
        from ccterm.executors.dagger.command import progress

        lines = asyncio.Queue[str | None]()
        with _captured(progress, lines):
            work = asyncio.ensure_future(self.build_image(ImageChoice()))
            work.add_done_callback(lambda _: lines.put_nowait(None))
            try:
                while (line := await lines.get()) is not None:
                    yield line
                await work
            finally:  # the consumer may stop early
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    async def build_image(self, choice: ImageChoice, *, again: bool = False) -> "ImageRecord":
        """Return the record of an image, built when it does not exist yet, or `again`. Raises PreflightError and SettingsError."""
        async with self._executor() as executor:
            if again:
                name = choice.dockerfile or choice.reference or executor.image_spec.base
                for record in [record for record in executor.images.all() if record.name == name]:
                    executor.images.remove(record)
            return await executor.build_image(choice)

    def images(self) -> "list[ImageRecord]":
        """Return the records of all images that were built. Raises SettingsError."""
        return list(self._executor().images.all())

    def remove_image(self, record: "ImageRecord") -> None:
        """Remove an image and its build log; a tarball that the user brought stays."""
        executor = self._executor()
        executor.images.remove(record)
        shutil.rmtree(executor.images.log(record.key), ignore_errors=True)

    def _executor(self) -> "DaggerExecutor":
        from ccterm.daemon.executors import dagger_executor
        from ccterm.settings import load_settings

        return dagger_executor(load_settings(None, self.environ), self.environ)


@contextmanager
def _captured(progress: logging.Logger, lines: "asyncio.Queue[str | None]") -> Iterator[None]:
    """Put everything that is logged as progress into a queue."""
    handler, before = _QueueHandler(lines), progress.level
    progress.addHandler(handler)
    progress.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        progress.removeHandler(handler)
        progress.setLevel(before)


class _QueueHandler(logging.Handler):
    def __init__(self, lines: "asyncio.Queue[str | None]") -> None:
        super().__init__()
        self._lines = lines
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        self._loop.call_soon_threadsafe(self._lines.put_nowait, record.getMessage())
