"""Preflight: every check of an execution mode, and of a repository and branch, answered live, each failure with the command that fixes it.

While one fails, the machine is checked again every few seconds. A remote is not: it is asked once, and again when the user says so.
"""

from collections.abc import Iterator
from textwrap import wrap
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ccterm.errors import CctermError
from ccterm.models import CheckResult, ExecutionMode
from ccterm.render import seconds
from ccterm.tui.image_build import ImageBuildView
from ccterm.tui.messages import Connected, ImageBuilt, RunsChanged, Ticked
from ccterm.tui.screen_base import CctermScreen
from ccterm.tui.screens.run_actions import export_login
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import SplitLine, heading
from ccterm.tui.widgets.state_lines import StatusLine

REPEAT_SECONDS = 5.0
BUILD = "ccterm image build"
"""The fix of an image that only needs to be built."""
INDENT = 15
"""Cells before the text of a result."""
TIME_WIDTH, NARROW = 10, 56
"""How wide times are; a narrower screen has no room for them."""
_BREAK = "\n" + " " * INDENT
_SIGNS = {"pass": ("✓", "$text-success"), "warn": ("!", "$text-warning"), "fail": ("✗", "bold $text-error")}


REMOTE = "remote"
"""The group of the checks that ask a remote."""


class PreflightScreen(CctermScreen):
    """The checks of one execution mode, and of a repository and branch."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("e", "export", "Login", tooltip="Re-export the Claude login for containers, and check again"),
        Binding("b", "build", "Build image", tooltip="Build the image for containers now, and check again"),
        Binding("y", "copy_fix", "Copy fix", tooltip="Copy the command that fixes the selected problem"),
        Binding("r", "again", "Again", tooltip="Run all checks again, and ask the remote again"),
        Binding("x", "switch_mode", "Where", tooltip="Check the other execution mode: this machine, or containers"),
    ]

    mode: reactive[ExecutionMode] = reactive(ExecutionMode.LOCAL)
    """The execution mode that is checked."""

    def __init__(self, repo: str = "", branch: str = "", execution_mode: ExecutionMode | None = None) -> None:
        """Store what is checked. repo, branch: "" = none. execution_mode: the one to begin with; None = as configured."""
        super().__init__()
        self.results: dict[str, CheckResult] = {}
        self._checking = False
        self._repo, self._branch, self._first_mode = repo, branch, execution_mode

    def compose(self) -> ComposeResult:
        """Lay out header, results and footer."""
        yield SplitLine(id="header")
        yield OptionList(id="checks")
        yield ImageBuildView(self.ccterm.frames)
        yield StatusLine(self.ccterm.runs)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Check; while something fails, check again every few seconds."""
        self.set_reactive(PreflightScreen.mode, self._first_mode or self.ccterm.settings.execution_mode)
        if any(result.status == "fail" for result in self.ccterm.remotes.get((self._repo, self._branch), ())):
            del self.ccterm.remotes[self._repo, self._branch]  # it may have been fixed since
        self.set_interval(REPEAT_SECONDS, self._repeat_while_failing)
        self.set_interval(1.0, self._show_build)
        self._show_build()
        self.check()

    def on_resize(self) -> None:
        """Wrap the results anew."""
        self._show_results()

    def watch_mode(self) -> None:
        """Check the other mode."""
        self.results.clear()
        if self.is_mounted:
            self.check()

    @on(Connected)
    def _start(self) -> None:
        self.check()

    @on(ImageBuilt)
    def _check_image(self) -> None:
        self._show_build()
        self.check()

    def _show_build(self) -> None:
        self.query_one(ImageBuildView).show(self.ccterm.image_build)

    @property
    def can_build(self) -> bool:
        """Whether the image is missing and not being built already."""
        image = self.results.get("image")
        building = self.ccterm.image_build is not None and self.ccterm.image_build.running
        return image is not None and image.fix == BUILD and image.status != "pass" and not building

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done."""
        return None if self.why_not(action) else super().check_action(action, parameters)

    def why_not(self, action: str) -> str:
        """Return why an action cannot be done now; "" when it can be."""
        chosen = self._chosen() if action == "copy_fix" else None
        match action:
            case "build" if not self.can_build:
                return (
                    "the image is being built"
                    if self.ccterm.image_build and self.ccterm.image_build.running
                    else "there is no image to be built"
                )
            case "copy_fix" if chosen is None or not chosen.fix:
                return "this needs no fix"
            case _:
                return ""

    @on(OptionList.OptionSelected)
    def _fix_chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if reason := self.why_not("copy_fix"):
            self.ccterm.note(reason, "warning")
        else:
            self.action_copy_fix()

    def _chosen(self) -> CheckResult | None:
        """Return the selected check."""
        index = self.query_one("#checks", OptionList).highlighted if self.is_mounted else None
        found = [result for result, _ in _grouped(self.results)]
        return found[index] if index is not None and index < len(found) else None

    def action_build(self) -> None:
        """Build the image; its log is shown below the checks."""
        self.ccterm.build_image()
        self._show_build()
        self.refresh_bindings()

    @on(RunsChanged)
    @on(Ticked)
    def _show_state(self) -> None:
        self.query_one(StatusLine).show_state(self.ccterm.clock())

    def _repeat_while_failing(self) -> None:
        if any(result.group != REMOTE for result in self.failing) and not self._checking and self.is_current:
            self.check()

    @property
    def failing(self) -> list[CheckResult]:
        """The checks that failed."""
        return [result for result in self.results.values() if result.status == "fail"]

    @work(group="checks", exclusive=True, exit_on_error=False)
    async def check(self) -> None:
        """Run all checks; results are shown as they come, and older ones stay until they are replaced."""
        if self.ccterm.service is None:
            self._show_results()
            return
        from ccterm.tui.launch_form import in_form_words  # deferred: the first frame does not need it

        known = self.ccterm.remotes.get((self._repo, self._branch), ())
        self.results |= {result.name: result for result in known}
        asked = {} if known else {"repo": self._repo or None, "branch": self._branch or None}
        self._checking, fresh = True, {result.name for result in known}
        self._show_results()
        try:
            async for result in self.ccterm.service.checks(self.mode, **asked):
                in_words = {"text": in_form_words(result.text), "fix": in_form_words(result.fix)} if result.group == REMOTE else {}
                self.results[result.name] = result.model_copy(update=in_words)
                fresh.add(result.name)
                self._show_results()
            self.results = {name: result for name, result in self.results.items() if name in fresh}
            self.ccterm.remotes[self._repo, self._branch] = [result for result in self.results.values() if result.group == REMOTE]
            if self.mode is self.ccterm.settings.execution_mode:
                self.ccterm.checked = [result for result in self.results.values() if result.group != REMOTE]
        except CctermError as error:
            self.results = {"executor": CheckResult(name="executor", group="executor", status="fail", text=error.message, fix=error.fix)}
        finally:
            self._checking = False
        self._show_results()

    def _summary(self) -> str:
        failing, warnings = len(self.failing), sum(result.status == "warn" for result in self.results.values())
        if self._checking:
            return "checking…"
        if failing:
            of_machine = any(result.group != REMOTE for result in self.failing)
            return f"{failing} to fix · {f'again every {REPEAT_SECONDS:.0f} s' if of_machine else 'r asks again'}"
        if warnings:
            return f"{warnings} warning{'' if warnings == 1 else 's'}"
        return "all passed" if self.results else "not checked yet"

    def _show_results(self) -> None:
        where = "this machine (local)" if self.mode is ExecutionMode.LOCAL else "containers (dagger)"
        of = " · ".join(filter(None, (self._repo, self._branch, where)))
        self.query_one("#header", SplitLine).show(heading("preflight", of), self._summary())
        listed = self.query_one("#checks", OptionList)
        kept = listed.highlighted
        narrow = self.size.width < NARROW
        room = max(20, self.size.width - INDENT - (3 if narrow else 2))  # where there is little, there is a scroll bar, too
        longest = max((len(result.text) for result in self.results.values()), default=0)
        time_width = 0 if narrow else TIME_WIDTH
        texts = min(room - time_width, longest)
        options = [
            Option(_result(result, room, texts, time_width, first=first), id=result.name) for result, first in _grouped(self.results)
        ]
        listed.clear_options().add_options(options)
        listed.disabled = not options  # enter would be its own, and do nothing
        if options and self.focused is None:
            listed.focus()
        listed.highlighted = min(kept, len(options) - 1) if kept is not None and options else _first_failure(self.results)
        self._show_state()
        self.refresh_bindings()

    def action_again(self) -> None:
        """Run all checks again, and ask the remote again."""
        self.ccterm.remotes.pop((self._repo, self._branch), None)
        self.check()

    def action_switch_mode(self) -> None:
        """Check the other execution mode."""
        self.mode = ExecutionMode.DAGGER if self.mode is ExecutionMode.LOCAL else ExecutionMode.LOCAL

    def action_copy_fix(self) -> None:
        """Copy the fix of the selected problem."""
        if (chosen := self._chosen()) and chosen.fix:
            self.app.copy_to_clipboard(chosen.fix)
            self.app.notify(f"copied: {chosen.fix}", markup=False)

    @work(group="export", exclusive=True, exit_on_error=False)
    async def action_export(self) -> None:
        """Re-export the login, then check again at once."""
        if self.ccterm.service:
            self.app.notify(await export_login(self.ccterm.service, self.ccterm.runs), markup=False)
            self.check()


def _grouped(results: dict[str, CheckResult]) -> Iterator[tuple[CheckResult, bool]]:
    """Yield results group by group, each with whether it is the first of its group."""
    order = sorted(results.values(), key=lambda result: (result.group, result.name))
    for index, result in enumerate(order):
        yield result, index == 0 or order[index - 1].group != result.group


def _first_failure(results: dict[str, CheckResult]) -> int | None:
    return next((index for index, (result, _) in enumerate(_grouped(results)) if result.status == "fail"), 0 if results else None)


def _result(result: CheckResult, room: int, texts: int, time_width: int, *, first: bool) -> Content:
    """Return a result and its fix as lines, indented to its text. texts: how wide the longest text is, behind which times stand, if there is room."""
    sign, tone = _SIGNS[result.status]
    *above, last = wrap(result.text, texts) or [""]
    text = _BREAK.join([*above, f"{last:<{texts}}"])
    group = f"{result.group if first else '':<13}"
    took = f"{seconds(result.seconds):>{time_width}}" if time_width else ""
    line = Content.assemble((group, "dim"), (f"{sign} ", tone), text, (took, "dim"))
    if result.fix and result.status != "pass":
        fix = f"b builds it now, or: {result.fix}" if result.fix == BUILD else result.fix
        line = Content.assemble(line, *((f"{_BREAK}{part}", "$text-accent") for part in wrap(fix, room)))
    return line
