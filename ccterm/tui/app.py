"""The terminal's app: which keys open which screens. The screens decide what is shown and done; what they share is in the base."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.screen import Screen

from ccterm.errors import CctermError
from ccterm.tui.app_base import AppBase
from ccterm.tui.messages import BackgroundAnswered, Checked
from ccterm.tui.opening import Look, OpeningScreen
from ccterm.tui.own_keys import defaults, keymap
from ccterm.tui.screen_base import CctermScreen
from ccterm.tui.textual_private import BACKGROUND_ANSWER, take_answers, takes_answers, write_to_terminal
from ccterm.tui.themes import QUESTION, ThemeChoice, light_by_answer

if TYPE_CHECKING:  # importing the service and the models takes long, and the first frame does not need them
    from ccterm.models import CheckResult
    from ccterm.service.protocol import Service
    from ccterm.settings import Settings
    from ccterm.tui.memory import Memory
    from ccterm.tui.notices import Send


def _palette() -> type[Provider]:
    from ccterm.tui.screens.help import ActionProvider  # deferred, as the screens below: the first frame does not need it

    return ActionProvider


class CctermApp(AppBase):
    """Launch many agents, watch them side by side, steer them."""

    TITLE = "ccterm"
    CSS_PATH = "ccterm.tcss"
    COMMANDS: ClassVar = {_palette}
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "launch", "New", tooltip="Write new tasks and launch them"),
        Binding("p", "preflight", "Checks", tooltip="Check what runs need, with a fix for every problem"),
        Binding("e", "export", "Login", show=False, tooltip="Re-export the Claude login for containers"),
        Binding("L", "restart_refused", "Start again", show=False, tooltip="Start all runs again whose login Claude refused"),
        Binding("H", "history", "History", show=False, tooltip="Past runs: how they ended, and what is left to do"),
        Binding("question_mark", "help", "Help", tooltip="All keys of this screen"),
        Binding("f1", "help", "Help", show=False, tooltip="All keys of this screen"),
        Binding("q", "leave", "Quit", tooltip="Quit; if runs are active, choose what happens to them"),
        Binding("ctrl+c", "copy_or_leave", "Copy or quit", show=False, system=True, priority=True),
        Binding("ctrl+q", "leave", "Quit", show=False, system=True, priority=True),
        Binding("T", "themes", "Theme", show=False, tooltip="Choose a theme, and see it at once"),
    ]

    def __init__(
        self,
        look: Look,
        *,
        detached: bool = False,
        checks: bool = True,
        light: bool | None = None,
        keeps: bool = True,
    ) -> None:
        """Make what the first frame needs.

        checks: check at the start whether this machine has what runs need. light: see `ThemeChoice`. keeps: whether runs and their work outlast it.
        """
        super().__init__(detached=detached)
        self._keeps = keeps
        self._latest: Sequence[CheckResult] = ()
        """What the checks have found that were begun last."""
        self._look, self._checks = look, checks
        self._themes = ThemeChoice(look, light=light)
        take_answers(BACKGROUND_ANSWER, BackgroundAnswered)

    @classmethod
    def provided_with(
        cls,
        settings: "Settings",
        *,
        memory: "Memory",
        detached: bool = False,
        checks: bool = True,
        keeps: bool = True,
        clock: Callable[[], datetime] | None = None,
    ) -> "CctermApp":
        """Return an app that shows the fleet at once: its settings are there already. Raises SettingsError."""
        look = Look(settings.tui.theme, memory.now.theme, memory.now.light, bool(settings.keys))
        app = cls(look, detached=detached, checks=checks, keeps=keeps)
        app.provide(settings, memory, clock=clock)
        return app

    def provide(
        self, settings: "Settings", memory: "Memory", *, send: "Send | None" = None, clock: Callable[[], datetime] | None = None
    ) -> None:
        """Make what all screens share. Raises SettingsError where keys do not go together."""
        own = keymap(settings.keys)
        super().provide(settings, memory, send=send, clock=clock)
        self._themes.remember(memory)
        if own:
            from ccterm.tui.screens.fleet import FleetScreen  # deferred, as the screens below

            self.set_keymap(own)
            self.own_keys = defaults([FleetScreen, CctermApp], own)

    def get_default_screen(self) -> CctermScreen:
        """Show the fleet; before there are settings, what is known of it."""
        if not self.provided:
            return OpeningScreen(with_keys=not self._look.own_keys)
        from ccterm.tui.screens.fleet import FleetScreen

        return FleetScreen()

    def begin(self) -> None:
        """Show the fleet, for which keys may have come already."""
        if isinstance(self.screen, OpeningScreen):
            from ccterm.tui.screens.fleet import FleetScreen

            self.add_mode("fleet", FleetScreen)
            self.switch_mode("fleet")
        super().begin()

    def on_mount(self) -> None:
        """Use the theme that was chosen, or that suits the terminal."""
        self._themes.sixteen = not self.is_headless and self.console.color_system == "standard"
        self.theme = self._themes.name
        if self._themes.follows_terminal and not self._themes.sixteen and takes_answers(BACKGROUND_ANSWER):
            self.call_after_refresh(write_to_terminal, self, QUESTION)

    @on(BackgroundAnswered)
    def _follow_background(self, event: BackgroundAnswered) -> None:
        event.stop()
        light = light_by_answer(event.text)
        if light is not None:
            self._themes.answered(light=light)
        if self._themes.follows_terminal:
            self.theme = self._themes.name

    def connected(self, service: "Service") -> None:
        """Use the service, and check in the background whether runs could start."""
        super().connected(service)
        if self._checks:
            self._first_checks(service)

    @work(group="first checks", exit_on_error=False)
    async def _first_checks(self, service: "Service") -> None:
        """Open the checks if one fails; only mention it when the user is busy already."""
        if await self._check(service).wait():
            self._offer_checks(self.screen)

    @work(group="checks", exit_on_error=False)
    async def _check(self, service: "Service") -> bool:
        """Check whether runs could start, for the empty fleet; returns whether something is missing, as far as it is not being checked anew."""
        found: list[CheckResult] = []
        self.checked, self._latest, self.checking = found, found, True
        missing = False
        try:
            async for answer in service.checks(self.settings.execution_mode):
                found.append(answer)
                missing |= answer.status == "fail"
                self._post(Checked())
        except CctermError:  # the executor itself is missing
            missing = True
        finally:
            latest = self._latest is found
            if latest:
                self.checking = False
                self._post(Checked())
        return missing and latest

    def _offer_checks(self, screen: Screen[object]) -> None:
        from ccterm.tui.screens.fleet import FleetScreen
        from ccterm.tui.screens.preflight import PreflightScreen

        if isinstance(screen, FleetScreen) and not self.runs.active and not self.keys.any_came:  # else keys would go astray
            self.push_screen(PreflightScreen())
        else:
            self.notify("some checks failed; press p to see them", severity="warning", markup=False)

    def action_launch(self) -> None:
        """Write new tasks."""
        from ccterm.tui.screens.launch import LaunchScreen

        self._open(LaunchScreen)

    def action_preflight(self) -> None:
        """Check what runs need."""
        from ccterm.tui.screens.preflight import PreflightScreen

        self._open(PreflightScreen)

    def action_history(self) -> None:
        """Show past runs."""
        from ccterm.tui.screens.history import HistoryScreen

        self._open(HistoryScreen)

    def action_help(self) -> None:
        """Show all keys of the screen."""
        from ccterm.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    def _open(self, kind: type[CctermScreen]) -> None:
        if isinstance(self.screen, kind):
            self.note("this is that screen", "warning")
        else:
            self.push_screen(kind())

    def action_export(self) -> None:
        """Re-export the Claude login."""
        from ccterm.tui.screens.run_actions import export_login

        async def export(service: "Service") -> str:
            said = await export_login(service, self.runs)
            if self.checked:
                self._check(service)
            return said

        self.perform(export)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done."""
        return None if self.why_not(action) else super().check_action(action, parameters)

    def why_not(self, action: str) -> str:
        """Return why an action cannot be done now; "" when it can be."""
        refused = self.provided and self.runs.refused
        return "no run has ended because its login was refused" if action == "restart_refused" and not refused else ""

    def action_restart_refused(self) -> None:
        """Start all runs again whose login Claude refused."""

        async def restart(service: "Service") -> str:
            started = [await service.restart(run.id) for run in await service.refused()]
            self.find_new_runs()
            return f"{len(started)} run{' goes' if len(started) == 1 else 's go'} on" if started else "no run is left to be started again"

        self.perform(restart)

    def action_themes(self) -> None:
        """Choose a theme."""
        from ccterm.tui.screens.themes import ThemeScreen

        self.push_screen(ThemeScreen(self._themes))

    def action_copy_or_leave(self) -> None:
        """Copy the selected text; without a selection, quit."""
        if text := self.screen.get_selected_text():
            self.copy_to_clipboard(text)
            self.screen.clear_selection()
            self.notify("copied", markup=False)
        else:
            self.action_leave()

    @work(group="leave", exclusive=True, exit_on_error=False)
    async def action_leave(self) -> None:
        """Quit, after asking what to do with active runs."""
        from ccterm.tui.screens.dialogs import LEAVE, STOP, WaitDialog, leave_dialog

        if self.runs.active and self.service:
            self.leaving = [view.run.id for view in self.runs if not view.run.state.final]
            answer = await self.push_screen_wait(leave_dialog(self.runs.active, detached=self.detached, keeps=self._keeps))
            if answer == STOP:
                await self.service.cancel_all()
            if not answer or (answer != LEAVE and not await self.push_screen_wait(WaitDialog(self.runs))):
                self.leaving = ()
                return
        self.exit()
