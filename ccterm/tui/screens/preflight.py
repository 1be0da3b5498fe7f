"""Preflight: every question that a place to run asks of this machine, answered live, each fault with the command that mends it."""

from collections.abc import Iterator
from textwrap import wrap
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ccterm.errors import CctermError
from ccterm.models import CheckResult, ExecutionMode
from ccterm.tui.messages import Connected, ImageMade, RunsChanged, Ticked
from ccterm.tui.screens.run_actions import Hosted, export
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import StatusLine, heading
from ccterm.tui.widgets.image_build_view import ImageBuildView
from ccterm.tui.widgets.split_line import SplitLine
from ccterm.tui.words import spelled

AGAIN_SECONDS = 5.0
BUILD = "ccterm image build"
"""The fix of an image that only has to be made."""
INDENT = 15
"""Cells in front of an answer's text."""
TIME_WIDTH = 10
_BREAK = "\n" + " " * INDENT
_MARKS = {"pass": ("✓", "$text-success"), "warn": ("!", "$text-warning"), "fail": ("✗", "bold $text-error")}


class PreflightScreen(Hosted, Screen[None]):
    """The checks of one place to run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("e", "export", "Login", tooltip="Copy the Claude login for containers anew, and check again"),
        Binding("b", "build", "Build image", tooltip="Make the image for containers now, and check again"),
        Binding("y", "copy_fix", "Copy fix", tooltip="Copy the command that mends it"),
        Binding("r", "again", "Again", tooltip="Ask all questions again"),
        Binding("x", "elsewhere", "Place", tooltip="Check the other place to run: this machine, or containers"),
    ]

    place: reactive[ExecutionMode] = reactive(ExecutionMode.LOCAL)
    """The place that is asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, CheckResult] = {}
        self._asking = False

    def compose(self) -> ComposeResult:
        """Lay out head, answers and foot."""
        yield SplitLine(id="masthead")
        yield OptionList(id="checks")
        yield ImageBuildView(self.host.frames)
        yield StatusLine(self.host.roster)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Ask; while something fails, ask again every few seconds."""
        self.set_reactive(PreflightScreen.place, self.host.settings.mode)
        self.set_interval(AGAIN_SECONDS, self._ask_while_failing)
        self.set_interval(1.0, self._show_making)
        self._show_making()
        self.ask()

    def watch_place(self) -> None:
        """Ask about the other place."""
        self.answers.clear()
        if self.is_mounted:
            self.ask()

    @on(Connected)
    def _begin(self) -> None:
        self.ask()

    @on(ImageMade)
    def _made(self) -> None:
        self._show_making()
        self.ask()

    def _show_making(self) -> None:
        self.query_one(ImageBuildView).show(self.host.making)

    @property
    def can_build(self) -> bool:
        """Whether the image could be made now: the checks miss it, and nobody makes it yet."""
        missed = self.answers.get("image")
        making = self.host.making is not None and self.host.making.under_way
        return missed is not None and missed.fix == BUILD and missed.status != "pass" and not making

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done."""
        return self.can_build if action == "build" else super().check_action(action, parameters)

    def action_build(self) -> None:
        """Make the image; what it says is shown below the checks."""
        self.host.make_image()
        self._show_making()
        self.refresh_bindings()

    @on(RunsChanged)
    @on(Ticked)
    def _stand(self) -> None:
        self.query_one(StatusLine).say(self.host.clock())

    def _ask_while_failing(self) -> None:
        if self.failing and not self._asking and self.is_current:
            self.ask()

    @property
    def failing(self) -> list[CheckResult]:
        """The answers that are not right."""
        return [answer for answer in self.answers.values() if answer.status == "fail"]

    @work(group="checks", exclusive=True, exit_on_error=False)
    async def ask(self) -> None:
        """Ask all questions; answers are shown as they come, and old ones stay until theirs is there."""
        if self.host.service is None:
            self._say()
            return
        self._asking, fresh = True, set[str]()
        self._say()
        try:
            async for answer in self.host.service.checks(self.place):
                self.answers[answer.name] = answer
                fresh.add(answer.name)
                self._say()
            self.answers = {name: answer for name, answer in self.answers.items() if name in fresh}
        except CctermError as error:
            self.answers = {"place": CheckResult(name="place", group="place", status="fail", text=error.message, fix=error.fix)}
        finally:
            self._asking = False
        self._say()

    def _say(self) -> None:
        failing, warned = len(self.failing), sum(answer.status == "warn" for answer in self.answers.values())
        state = (
            "asking…"
            if self._asking
            else f"{failing} to mend"
            if failing
            else f"{warned} to know of"
            if warned
            else "all fine"
            if self.answers
            else "nothing asked yet"
        )
        more = f"{state} · again every {AGAIN_SECONDS:.0f} s" if failing and not self._asking else state
        where = "this machine (local)" if self.place is ExecutionMode.LOCAL else "containers (dagger)"
        self.query_one("#masthead", SplitLine).show(heading("preflight", where), more)
        listed = self.query_one("#checks", OptionList)
        kept = listed.highlighted
        room = max(20, self.size.width - INDENT - 2)
        options = [Option(_line(answer, room, first=first), id=answer.name) for answer, first in _grouped(self.answers)]
        listed.clear_options().add_options(options)
        listed.highlighted = min(kept, len(options) - 1) if kept is not None and options else _first_fault(self.answers)
        self._stand()
        self.refresh_bindings()

    def action_again(self) -> None:
        """Ask all questions again."""
        self.ask()

    def action_elsewhere(self) -> None:
        """Check the other place to run."""
        self.place = ExecutionMode.DAGGER if self.place is ExecutionMode.LOCAL else ExecutionMode.LOCAL

    def action_copy_fix(self) -> None:
        """Copy what mends the chosen fault."""
        listed = self.query_one("#checks", OptionList)
        chosen = list(_grouped(self.answers))[listed.highlighted][0] if listed.highlighted is not None and self.answers else None
        if chosen and chosen.fix:
            self.app.copy_to_clipboard(chosen.fix)
            self.app.notify(f"copied: {chosen.fix}", markup=False)

    @work(group="export", exclusive=True, exit_on_error=False)
    async def action_export(self) -> None:
        """Re-export the login, then ask again at once."""
        if self.host.service:
            self.app.notify(await export(self.host.service), markup=False)
            self.ask()


def _grouped(answers: dict[str, CheckResult]) -> Iterator[tuple[CheckResult, bool]]:
    """Yield answers group by group, saying which is the first of its group; groups keep the order in which they are known."""
    order = sorted(answers.values(), key=lambda answer: (answer.group, answer.name))
    for index, answer in enumerate(order):
        yield answer, index == 0 or order[index - 1].group != answer.group


def _first_fault(answers: dict[str, CheckResult]) -> int | None:
    return next((index for index, (answer, _) in enumerate(_grouped(answers)) if answer.status == "fail"), 0 if answers else None)


def _line(answer: CheckResult, room: int, *, first: bool) -> Content:
    """Return an answer with its fix, as lines of which all but the first begin below its text."""
    mark, tone = _MARKS[answer.status]
    text = _BREAK.join(wrap(answer.text, room - TIME_WIDTH))
    group = f"{answer.group if first else '':<13}"
    line = Content.assemble((group, "dim"), (f"{mark} ", tone), text, (f"   {spelled(answer.seconds)}", "dim"))
    if answer.fix and answer.status != "pass":
        fix = f"b builds it now, or: {answer.fix}" if answer.fix == BUILD else answer.fix
        line = Content.assemble(line, *((f"{_BREAK}{part}", "$text-accent") for part in wrap(fix, room)))
    return line
