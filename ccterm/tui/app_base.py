"""What all screens share: the service, the runs, orders and their answers, notices. It knows no screen."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work
from textual.app import App
from textual.message import Message
from textual.worker import Worker, WorkerState

from ccterm.errors import CctermError
from ccterm.events import Event
from ccterm.models import ExecutionMode, Run, RunId, now
from ccterm.settings import Settings
from ccterm.tui.image_build import Making
from ccterm.tui.memory import Memory
from ccterm.tui.messages import Connected, ImageMade, RunsChanged, Ticked
from ccterm.tui.notices import Notices, Send, TerminalSigns, silent
from ccterm.tui.pane import FrameClock
from ccterm.tui.run_view import RunView
from ccterm.tui.runs import Runs
from ccterm.tui.watcher import Watcher

if TYPE_CHECKING:  # the service brings all that carries runs out; the first frame does without
    from ccterm.service.protocol import Service

COALESCE_SECONDS = 0.1
"""Changes of runs that come closer together than this are painted together."""


class Host(App[None]):
    """The app as its screens know it."""

    def __init__(
        self, settings: Settings, *, memory: Memory, outlives: bool = False, send: Send = silent, clock: Callable[[], datetime] = now
    ) -> None:
        """Take what all screens share. outlives: runs go on without this process. send: puts notifications on the desktop."""
        super().__init__()
        self.settings, self.memory, self.outlives, self.clock = settings, memory, outlives, clock
        self.opened = clock()
        self.shown = asyncio.Event()
        """Set when the first frame is on the screen."""
        self.roster = Runs()
        self.frames = FrameClock()
        self.past: dict[RunId, RunView] = {}
        self.awaited: RunId | None = None
        """The run that the user has just asked for: it is focused when it appears."""
        self.making: Making | None = None
        """The making of the image that was asked for last."""
        self.service: Service | None = None
        self._watcher: Watcher | None = None
        self._notices = Notices(self._toast, send, opened=self.opened)
        self._changed: set[RunId] = set()
        self._signs = TerminalSigns(settings.tui, self._write)

    def on_mount(self) -> None:
        """Count seconds, and call the terminal by its name."""
        self._signs.begin()
        self.set_interval(1.0, self._tick)
        self.call_after_refresh(self.shown.set)

    def on_unmount(self) -> None:
        """Leave the terminal's title as it was, and remember when."""
        self._signs.end()
        self.memory.leave(self.clock())

    def reached(self, service: "Service") -> None:
        """Take the service; from now on runs are watched and orders carried out."""
        self.service = service
        self._watcher = Watcher(service, self.roster, self.change, opened=self.opened)
        self.run_worker(self._watcher.watch(), group="watcher", exit_on_error=False)
        self._post(Connected())

    def order(self, work: "Callable[[Service], Awaitable[str]]") -> None:
        """Carry an order out beside the screen, and say in a toast what came of it; an empty answer says nothing."""
        self._carry_out(work)

    @work(group="orders", exit_on_error=False)
    async def _carry_out(self, work: "Callable[[Service], Awaitable[str]]") -> None:
        if self.service is None:
            self.notify("still reaching the owner of the runs; try again", severity="warning", markup=False)
        elif said := await work(self.service):
            self.notify(said, markup=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Say what went wrong in a worker; the one place for that."""
        if event.state is WorkerState.ERROR and event.worker.error:
            self._toast(*spelled_error(event.worker.error), "error")

    def change(self, sight: RunView, event: Event | None) -> None:
        """Take note that a run changed; the screen hears of many changes at once."""
        if event is not None:
            self._notices.tell(sight, event)
        if not self._changed:
            self.set_timer(COALESCE_SECONDS, self._tell_screen)
        self._changed.add(sight.run.id)

    def _tell_screen(self) -> None:
        self._post(RunsChanged(self._changed))
        self._changed.clear()
        self._signs.show(self.roster)

    def make_image(self) -> None:
        """Make the image for boxes beside the screen."""
        making = self.making = Making(self.clock)

        async def make(service: "Service") -> str:
            try:
                return await making.carry_out(service)
            finally:
                self._post(ImageMade())

        self.order(make)

    @property
    def where(self) -> str:
        """Where runs go and who carries them out, in a few words."""
        place = "this machine, no isolation" if self.settings.mode is ExecutionMode.LOCAL else "containers"
        return f"{place} · {'reaching the owner' if self.service is None else 'owner' if self.outlives else 'in this process'}"

    def transcript(self, run: RunId) -> Path:
        """Return the file of a run that is shown."""
        assert self.service is not None, "runs are shown only when the service was reached"
        return self.service.transcript(run)

    def _post(self, message: Message) -> None:
        """Tell the screen, unless the last one is gone already."""
        if self.screen_stack:
            self.screen.post_message(message)

    def take(self, run: Run) -> None:
        """Take over a run's document after an order; a reviewed one is put away."""
        self.roster.put(run)
        if run.reviewed:
            self.roster.drop(run.id)
        self._post(RunsChanged([run.id]))

    def look(self, awaited: RunId | None = None) -> None:
        """Look for new runs at once. awaited: the one that is to be focused."""
        self.awaited = awaited or self.awaited
        if self._watcher:
            self._watcher.nudge()

    def _tick(self) -> None:
        if self.roster.live:
            self._post(Ticked())

    def _toast(self, title: str, text: str, severity: str) -> None:
        self.notify(
            text,
            title=title,
            severity="error" if severity == "error" else "warning" if severity == "warning" else "information",
            markup=False,
        )

    def _write(self, sequence: str) -> None:
        if self._driver and not self.is_headless:
            with suppress(OSError):
                self._driver.write(sequence)


def spelled_error(error: BaseException) -> tuple[str, str]:
    """Return what went wrong and what to do about it, for a person."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, CctermError):
        return error.message, error.fix
    return f"{type(error).__name__}: {error}", "this is a defect of ccterm, please report it"
