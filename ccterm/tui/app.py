"""The terminal's app: it holds what all screens share and passes on; what is shown and done is theirs."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from ccterm.events import Event
from ccterm.models import ExecutionMode, Run, RunId, now
from ccterm.service import Service
from ccterm.settings import Settings
from ccterm.tui.memory import Memory
from ccterm.tui.messages import Connected, RosterChanged, Ticked
from ccterm.tui.notices import Notices, Send, TerminalSigns, silent
from ccterm.tui.orders import export, spelled_error
from ccterm.tui.palette import Actions
from ccterm.tui.pane import FrameClock
from ccterm.tui.roster import Roster
from ccterm.tui.screens.fleet import FleetScreen
from ccterm.tui.screens.help import HelpScreen
from ccterm.tui.screens.history import HistoryScreen
from ccterm.tui.screens.launch import LaunchScreen
from ccterm.tui.screens.leave import LEAVE, STOP, WaitDialog, leave_dialog
from ccterm.tui.screens.preflight import PreflightScreen
from ccterm.tui.sight import Sight
from ccterm.tui.watcher import Watcher

COALESCE_SECONDS = 0.1
"""Changes of runs that come closer together than this are painted together."""


class CctermApp(App[None]):
    """Launch many agents, watch them side by side, steer them."""

    TITLE = "ccterm"
    CSS_PATH = "ccterm.tcss"
    COMMANDS: ClassVar = {Actions}
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "launch", "New", tooltip="Write new tasks and launch them"),
        Binding("p", "preflight", "Checks", tooltip="See what runs need, each with its fix"),
        Binding("e", "export", "Login", show=False, tooltip="Re-export the Claude login for containers"),
        Binding("H", "history", "History", show=False, tooltip="Past runs: what came of them, and what is left to do"),
        Binding("question_mark", "help", "Help", tooltip="All keys of this screen"),
        Binding("q", "leave", "Quit", tooltip="Leave; runs go on, wait or stop as you say"),
        Binding("ctrl+c", "copy_or_leave", "Copy or quit", show=False, system=True, priority=True),
        Binding("ctrl+q", "leave", "Quit", show=False, system=True, priority=True),
        Binding("t", "turn_theme", "Light or dark", show=False, tooltip="Change between light and dark"),
    ]

    def __init__(
        self, settings: Settings, *, memory: Memory, outlives: bool = False, send: Send = silent, clock: Callable[[], datetime] = now
    ) -> None:
        """Take what all screens share. outlives: runs go on without this process. send: puts notifications on the desktop."""
        super().__init__()
        self.settings, self.memory, self.outlives, self.clock = settings, memory, outlives, clock
        self.opened = clock()
        self.roster = Roster()
        self.frames = FrameClock()
        self.past: dict[RunId, Sight] = {}
        self.service: Service | None = None
        self._watcher: Watcher | None = None
        self._notices = Notices(self._toast, send, opened=self.opened)
        self._changed: set[RunId] = set()
        self._signs = TerminalSigns(settings.tui, self._write)

    def on_mount(self) -> None:
        """Show the fleet; nothing waits for the service."""
        self.theme = self.settings.tui.theme if self.settings.tui.theme in self.available_themes else self.theme
        self._signs.begin()
        self.push_screen(FleetScreen())
        self.set_interval(1.0, self._tick)

    def on_unmount(self) -> None:
        """Leave the terminal's title as it was, and remember when."""
        self._signs.end()
        self.memory.leave(self.clock())

    def reached(self, service: Service) -> None:
        """Take the service; from now on runs are watched and orders carried out."""
        self.service = service
        self._watcher = Watcher(service, self.roster, self.change, opened=self.opened)
        self.run_worker(self._watcher.watch(), group="watcher", exit_on_error=False)
        self.screen.post_message(Connected())

    def order(self, work: Callable[[Service], Awaitable[str]]) -> None:
        """Carry an order out beside the screen, and say in a toast what came of it; an empty answer says nothing."""
        self._carry_out(work)

    @work(group="orders", exit_on_error=False)
    async def _carry_out(self, work: Callable[[Service], Awaitable[str]]) -> None:
        if self.service is None:
            self.notify("still reaching the owner of the runs; try again", severity="warning", markup=False)
        elif said := await work(self.service):
            self.notify(said, markup=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Say what went wrong in a worker; the one place for that."""
        if event.state is WorkerState.ERROR and event.worker.error:
            self._toast(*spelled_error(event.worker.error), "error")

    def change(self, sight: Sight, event: Event | None) -> None:
        """Take note that a run changed; the screen hears of many changes at once."""
        if event is not None:
            self._notices.tell(sight, event)
        if not self._changed:
            self.set_timer(COALESCE_SECONDS, self._tell_screen)
        self._changed.add(sight.run.id)

    def _tell_screen(self) -> None:
        self.screen.post_message(RosterChanged(self._changed))
        self._changed.clear()
        self._signs.show(self.roster)

    @property
    def where(self) -> str:
        """Where runs go and who carries them out, in a few words."""
        place = "this machine, no isolation" if self.settings.mode is ExecutionMode.LOCAL else "containers"
        return f"{place} · {'reaching the owner' if self.service is None else 'owner' if self.outlives else 'in this process'}"

    def transcript(self, run: RunId) -> Path:
        """Return the file of a run that is shown."""
        assert self.service is not None, "runs are shown only when the service was reached"
        return self.service.transcript(run)

    def take(self, run: Run) -> None:
        """Take over a run's document after an order; a reviewed one is put away."""
        self.roster.put(run)
        if run.reviewed:
            self.roster.drop(run.id)
        self.screen.post_message(RosterChanged([run.id]))

    def look(self) -> None:
        """Look for new runs at once."""
        if self._watcher:
            self._watcher.nudge()

    def _tick(self) -> None:
        if self.roster.live:
            self.screen.post_message(Ticked())

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

    def action_launch(self) -> None:
        """Write new tasks."""
        self._go(LaunchScreen)

    def action_preflight(self) -> None:
        """See what runs need."""
        self._go(PreflightScreen)

    def action_history(self) -> None:
        """See past runs."""
        self._go(HistoryScreen)

    def action_help(self) -> None:
        """Show all keys of the screen."""
        self.push_screen(HelpScreen(self.screen))

    def _go(self, kind: type[Screen[None]]) -> None:
        if not isinstance(self.screen, kind):
            self.push_screen(kind())

    def action_export(self) -> None:
        """Re-export the login, and look at the checks again."""
        self.order(export)

    def action_turn_theme(self) -> None:
        """Change between light and dark."""
        self.theme = "textual-dark" if self.theme == "textual-light" else "textual-light"

    def action_copy_or_leave(self) -> None:
        """Copy what is selected; without a selection ask whether to leave."""
        if text := self.screen.get_selected_text():
            self.copy_to_clipboard(text)
        else:
            self.action_leave()

    @work(group="leave", exclusive=True, exit_on_error=False)
    async def action_leave(self) -> None:
        """Leave, after asking what becomes of live runs."""
        if self.roster.live and self.service:
            answer = await self.push_screen_wait(leave_dialog(self.roster.live, outlives=self.outlives))
            if answer == STOP:
                await self.service.cancel_all()
            if not answer or (answer != LEAVE and not await self.push_screen_wait(WaitDialog(self.roster))):
                return
        self.exit()
