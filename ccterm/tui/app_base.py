"""What all screens share: the service, the runs, actions and their answers, notices. Knows no screen by name."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events, work
from textual.filter import LineFilter
from textual.message import Message
from textual.worker import Worker, WorkerState

from ccterm.errors import CctermError
from ccterm.tui.keys import KeysInOrder
from ccterm.tui.messages import Connected, ImageBuilt, RunsChanged, Ticked, visible_screens
from ccterm.tui.own_keys import named
from ccterm.tui.telling import TellingApp, describe_error
from ccterm.tui.textual_private import HarmlessText, keep_escape_apart, write_to_terminal

if TYPE_CHECKING:  # importing the service and the models takes long, and the first frame does not need them
    from ccterm.events import Event
    from ccterm.models import CheckResult, Run, RunId
    from ccterm.service.protocol import Service
    from ccterm.settings import Settings
    from ccterm.tui.image_build import ImageBuildProgress
    from ccterm.tui.memory import Memory
    from ccterm.tui.notices import Notices, Send, TerminalTitle
    from ccterm.tui.pane import FrameClock
    from ccterm.tui.pane.source import ByteStore
    from ccterm.tui.run_view import RunView
    from ccterm.tui.watcher import Watcher

LOGIN_SECONDS = 5.0
"""How often it is asked whether there is another login, while there are runs whose login was refused."""
_PLACES = {"dagger": "containers", "local": "this machine, no isolation"}
COALESCE_SECONDS = 0.1
"""Changes that come closer together than this are painted together."""


class AppBase(TellingApp):
    """The app as its screens know it. The first frame comes before `provide`, which makes what needs settings or models."""

    settings: "Settings"
    memory: "Memory"
    frames: "FrameClock"
    opened: datetime
    _minute: datetime
    _notices: "Notices"
    _title: "TerminalTitle"

    def __init_subclass__(cls, *args: bool, **given: bool) -> None:
        cls.BINDINGS = named(vars(cls).get("BINDINGS", []))
        super().__init_subclass__(*args, **given)

    def __init__(self, *, detached: bool = False) -> None:
        """Make what the first frame needs. detached: the daemon carries the runs out."""
        super().__init__()
        self.own_keys: Mapping[str, str] = {}
        """Keys that runs are known to be used with -> the user's own in place of them."""
        self.detached = detached
        self.provided = False
        """Whether there are settings; keys wait until then."""
        self._harmless = HarmlessText()
        keep_escape_apart()
        self.first_frame = asyncio.Event()
        """Set when the first frame is on the screen."""
        self.keys = KeysInOrder(self)
        self.past: dict[RunId, RunView] = {}
        self.selected: set[RunId] = set()
        """The runs that actions on several apply to."""
        self.panes: Sequence[RunId] = ()
        """The runs that have a pane in the fleet, in their order: 1 to 9 pick one."""
        self.focus_when_shown: RunId | None = None
        """The run that the user has just started: it gets the focus when it appears."""
        self.checked: list[CheckResult] = []
        """What the checks of this machine have said so far."""
        self.checking = False
        """Whether there is more to come."""
        self.image_build: ImageBuildProgress | None = None
        """The latest build of the image."""
        self.remotes: dict[tuple[str, str], Sequence[CheckResult]] = {}
        """Repository and branch -> what checking them found."""
        self.service: Service | None = None
        self.without_daemon = False
        """Whether the daemon has died, and no other one was started yet."""
        self.reached = asyncio.Event()
        """Set once the service can be used."""
        self.leaving: Sequence[RunId] = ()
        """The runs that were active when the user decided to quit."""
        self.farewell = ""
        """What is said on the shell afterwards: what became of them."""
        self._watcher: Watcher | None = None
        self._changed: set[RunId] = set()
        self._offered: set[RunId] = set()

    def provide(
        self, settings: "Settings", memory: "Memory", *, send: "Send | None" = None, clock: Callable[[], datetime] | None = None
    ) -> None:
        """Make what all screens share; an app that runs already is to `begin` then. send: shows desktop notifications."""
        from ccterm.models import now  # deferred, as all here: the first frame does without
        from ccterm.tui.notices import Notices, TerminalTitle, silent
        from ccterm.tui.pane import FrameClock
        from ccterm.tui.runs import Runs

        self.settings, self.memory, self.clock = settings, memory, clock or now
        self.opened, self.runs, self.frames = self.clock(), Runs(), FrameClock()
        self._minute = _minute(self.opened)
        self._notices = Notices(self.note, self._toast, send or silent, opened=self.opened)
        self._title = TerminalTitle(settings.tui, lambda sequence: write_to_terminal(self, sequence))
        self.provided = True

    async def on_event(self, event: events.Event) -> None:
        """Handle an event; a key only when its turn has come."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded and not (self.screen_stack and self.keys.take(event)):
            return  # it has to wait; or there is no screen any more, and the app is about to end
        await super().on_event(event)

    def get_css_variables(self) -> dict[str, str]:
        """Return the colours of the theme. With 16 of them there is none between red and the background, and red on red cannot be read."""
        variables = super().get_css_variables()
        if self.current_theme.ansi:
            variables |= {f"{name}-muted": "ansi_default" for name in ("primary", "success", "warning", "error")}
        return variables

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return what every painted line passes."""
        return [*super().get_line_filters(), self._harmless]

    def on_mount(self) -> None:
        """Begin, where there are settings already."""
        self.call_after_refresh(self.first_frame.set)
        if self.provided:
            self.begin()

    def begin(self) -> None:
        """Start the clock of the screens, take over the terminal's title and let the keys through. Called in the app's own task."""
        self._title.begin()
        self.run_worker(self.keys.run(), group="keys", exit_on_error=False)
        self.set_interval(1.0, self._tick)
        self.set_interval(LOGIN_SECONDS, self.offer_renewed)  # a timer belongs to the app only in a task of the app's own

    def on_unmount(self) -> None:
        """Restore the terminal's title, and remember the time."""
        if self.provided:
            self._title.end()
            self.memory.leave(self.clock())

    def connected(self, service: "Service") -> None:
        """Use the service: from now on runs are watched and actions carried out."""
        from ccterm.tui.watcher import Watcher  # deferred: the first frame does not need it

        self.service = service
        self.reached.set()
        self._watcher = Watcher(service, self.runs, self.run_changed, self.runs_changed, self._say_unreadable, opened=self.opened)
        self.run_worker(self._watcher.watch(), group="watcher", exit_on_error=False)
        self._post_to_all(Connected)

    def _say_unreadable(self, error: CctermError) -> None:
        self.notify(error.fix, title=f"runs cannot be read: {error.message}", severity="error", markup=False)

    @work(group="login", exclusive=True, exit_on_error=False)
    async def offer_renewed(self) -> None:
        """Say once that there is another login for runs that ended because theirs was refused."""
        if self.service is None or not self.runs.refused:
            return
        with suppress(CctermError):  # the next look tells
            renewed = {*await self.service.renewed()}
            if fresh := renewed - self._offered:
                self._offered |= fresh
                count = f"{len(renewed)} run{'' if len(renewed) == 1 else 's'}"
                self.note(f"There is another Claude login: L starts {count} again that ended without")

    def why_not(self, action: str) -> str:  # noqa: ARG002 - the app knows
        """Return why an action of the app cannot be done now, as a sentence; "" when it can be."""
        return ""

    def perform(self, action: "Callable[[Service], Awaitable[str]]", *, opens: bool = False) -> None:
        """Carry an action out in the background and say what came of it; an empty result says nothing.

        opens: it opens a screen, for which the keys that follow are meant.
        """
        worker = self._perform(action)
        if opens:
            self.keys.wait_for(worker)

    @work(group="actions", exit_on_error=False)
    async def _perform(self, action: "Callable[[Service], Awaitable[str]]") -> None:
        if self.service is None:
            self.notify("connecting…", markup=False)
            await self.reached.wait()
        assert self.service is not None
        if result := await action(self.service):
            self.notify(result, markup=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show what went wrong in a worker; the one place for that."""
        if event.state is WorkerState.ERROR and event.worker.error:
            what, fix = describe_error(event.worker.error)
            self.notify(fix, title=what, severity="error", markup=False)

    def run_changed(self, view: "RunView", event: "Event | None") -> None:
        """Note that a run changed; the screens are told of many changes at once."""
        view.lost = self.without_daemon and not view.run.state.final
        if event is not None:
            self._notices.tell(view, event)
        if not self._changed:
            self.set_timer(COALESCE_SECONDS, self.runs_changed)
        self._changed.add(view.run.id)

    def runs_changed(self, runs: "Collection[RunId]" = ()) -> None:
        """Show that something happened to these runs, beside those that are noted: on the screens and in the terminal's title."""
        self.selected = {run for run in self.selected if run in self.runs}
        self._post(RunsChanged({*self._changed, *runs}))
        self._changed.clear()
        self._title.show(self.runs)

    def build_image(self) -> None:
        """Build the image for boxes in the background."""
        from ccterm.tui.image_build import ImageBuildProgress  # deferred: rarely needed

        build = self.image_build = ImageBuildProgress(self.clock)

        async def carry_out(service: "Service") -> str:
            try:
                return await build.carry_out(service)
            finally:
                self._post_to_all(ImageBuilt)

        self.perform(carry_out)

    def daemon_lost(self, problem: str = "") -> None:
        """Say that the daemon has died, and mark its runs. problem: why no other one could be started."""
        if not self.without_daemon:
            self.without_daemon = True
            for view in self.runs:
                view.lost = not view.run.state.final
            count = self.runs.active
            runs = f"{count} run{'' if count == 1 else 's'} may be lost; " if count else ""
            self.notify(
                f"{runs}another one is being started, and keeps the work that is there",
                title="The daemon has ended",
                severity="error",
                markup=False,
            )
        if problem:
            self.note(f"no daemon can be started: {problem}", "error")
        self.runs_changed([view.run.id for view in self.runs])

    def daemon_there(self) -> None:
        """Show that there is a daemon."""
        if self.without_daemon:
            self.without_daemon = False
            for view in self.runs:
                view.lost = False
            self.note("another daemon was started")
            self.runs_changed([view.run.id for view in self.runs])
            self._post_to_all(Connected)

    @property
    def where(self) -> str:
        """Where runs are carried out, by which process and for which repository, for the header: what need not be said of each run."""
        modes = {view.run.task.execution_mode for view in self.runs} or {self.settings.execution_mode}
        place = " and ".join(words for mode, words in _PLACES.items() if mode in modes)
        process = "no daemon" if self.without_daemon else "daemon" if self.detached else "in this process"
        return " · ".join(filter(None, (place, "connecting" if self.service is None else process, self._repositories())))

    def _repositories(self) -> str:
        if not self.runs:
            return ""
        from ccterm.tui.run_text import repositories  # deferred: the first frame has no runs

        return repositories(view.run for view in self.runs)

    def key(self, usual: str) -> str:
        """Return the key that the user has in place of a usual one."""
        return self.own_keys.get(usual, usual)

    def transcript(self, run: "RunId") -> Path:
        """Return the transcript of a run that is shown."""
        assert self.service is not None, "runs are shown only once the service is connected"
        return self.service.transcript(run)

    def thread(self, run: "RunId") -> "ByteStore":
        """Return the transcript of a run that is shown, behind those of the runs that it continues."""
        from ccterm.tui.pane.thread import thread  # deferred: the first frame shows none

        view = self.runs.get(run) or self.past.get(run)
        return thread([(earlier, self.transcript(earlier.id)) for earlier in view.before] if view else [], self.transcript(run))

    def _post(self, message: Message) -> None:
        """Tell the screens that are visible; others look what there is when they come back, see `CctermScreen`."""
        for screen in visible_screens(self):
            screen.post_message(message)

    def _post_to_all(self, kind: type[Message]) -> None:
        """Tell all screens that are open: this comes once, and what is behind another screen needs it as well."""
        for screen in self.screen_stack:
            screen.post_message(kind())

    def update_run(self, run: "Run") -> None:
        """Show a run's new document after an action; a reviewed run is shown in the history alone."""
        self.runs.update(run)
        if run.id in self.past:
            self.past[run.id].run = run
        if run.reviewed:
            self.runs.remove(run.id)
        self.runs_changed([run.id])

    def find_new_runs(self, focus: "RunId | None" = None) -> None:
        """Look for new runs at once. focus: the one that gets the focus."""
        self.focus_when_shown = focus or self.focus_when_shown
        if self._watcher:
            self._watcher.nudge()

    def _tick(self) -> None:
        self._toasts.flush()
        minute = _minute(self.clock())
        if self.runs.active or minute != self._minute:  # a usage window may have been reset, or the day is over
            self._minute = minute
            self._post(Ticked())


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
