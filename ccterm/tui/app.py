"""The terminal's app: which keys lead where. What is shown and done is the screens', what they share is the host's."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.screen import Screen

from ccterm.errors import CctermError
from ccterm.models import now
from ccterm.settings import Settings
from ccterm.tui.app_base import Host
from ccterm.tui.memory import Memory
from ccterm.tui.notices import Send, silent
from ccterm.tui.palette import Actions
from ccterm.tui.screens.fleet import FleetScreen
from ccterm.tui.screens.leave import LEAVE, STOP, WaitDialog, leave_dialog
from ccterm.tui.screens.preflight import PreflightScreen
from ccterm.tui.screens.run_actions import export

if TYPE_CHECKING:  # the service brings all that carries runs out; the first frame does without
    from ccterm.service.protocol import Service


class CctermApp(Host):
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
        self,
        settings: Settings,
        *,
        memory: Memory,
        outlives: bool = False,
        checks: bool = True,
        send: Send = silent,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """Take what all screens share. checks: look at the start whether this machine has what runs need."""
        super().__init__(settings, memory=memory, outlives=outlives, send=send, clock=clock)
        self._checks = checks

    def on_mount(self) -> None:
        """Show the fleet; nothing waits for the service."""
        if self.settings.tui.theme in self.available_themes:
            self.theme = self.settings.tui.theme
        self.push_screen(FleetScreen())

    def reached(self, service: "Service") -> None:
        """Take the service, and see in passing whether runs could start."""
        super().reached(service)
        if self._checks:
            self._look_ahead(service)

    @work(group="first checks", exit_on_error=False)
    async def _look_ahead(self, service: "Service") -> None:
        """Open the checks when one fails, unless the user does something else already; then say so only."""
        try:
            failing = any([answer.status == "fail" async for answer in service.checks(self.settings.mode)])
        except CctermError:  # the place to run itself is not there
            failing = True
        if failing:
            self._offer_checks(self.screen)

    def _offer_checks(self, screen: Screen[object]) -> None:
        if isinstance(screen, FleetScreen) and not self.roster.live:
            self.push_screen(PreflightScreen())
        else:
            self.notify("something that runs need is missing; p shows it", severity="warning", markup=False)

    def action_launch(self) -> None:
        """Write new tasks."""
        from ccterm.tui.screens.launch import LaunchScreen  # deferred, as the others: the first frame does without

        self._go(LaunchScreen)

    def action_preflight(self) -> None:
        """See what runs need."""
        self._go(PreflightScreen)

    def action_history(self) -> None:
        """See past runs."""
        from ccterm.tui.screens.history import HistoryScreen

        self._go(HistoryScreen)

    def action_help(self) -> None:
        """Show all keys of the screen."""
        from ccterm.tui.screens.help import HelpScreen

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
            self.screen.clear_selection()
            self.notify("copied", markup=False)
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
