"""Launch: write tasks, see what will happen, start them. Problems are shown while typing; nothing starts before ctrl+s."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static, TextArea

from ccterm.draft import FIELDS, Draft, starting_directory
from ccterm.errors import CctermError
from ccterm.models import ExecutionMode
from ccterm.tui.app_base import CctermScreen, Connected, describe_error
from ccterm.tui.launch_form import AT_ONCE, AT_ONCE_FIELD, ROWS, FormResult, branches_of, examine, split_prompts, suggest_branch, summarise
from ccterm.tui.screens.dialogs import LineDialog
from ccterm.tui.screens.preflight import PreflightScreen
from ccterm.tui.widgets.field import Field, RepositorySuggester
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import SplitLine, heading

if TYPE_CHECKING:  # importing the service takes long, and the first frame does not need it
    from ccterm.service.protocol import Service

PLAN_SECONDS = 0.25
"""After this pause in typing the service is asked what would happen."""
_SUGGESTIONS = {
    "execution_mode": FIELDS["execution_mode"].choices,
    "agent": ["claude", "scripted"],
    "model": ["haiku", "sonnet", "opus"],
    "skip_permissions": ["yes", "no"],
}


class LaunchScreen(CctermScreen):
    """The form for new tasks."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "launch", "Launch", priority=True, tooltip="Start the tasks"),
        Binding("ctrl+o", "open", "Batch file", priority=True, tooltip="Launch the tasks of a YAML or JSON Lines file"),
        Binding("ctrl+up", "recall(1)", "Previous task", priority=True, tooltip="Insert a task that was launched before"),
        Binding("ctrl+down", "recall(-1)", "Next task", show=False, priority=True),
        Binding(
            "ctrl+t", "check", "Check", priority=True, tooltip="Check that this repository and branch can be pushed to, and what runs need"
        ),
        Binding("escape", "app.pop_screen", "Back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._result = FormResult()
        self._suggesting_branch = True
        self._recalled = -1

    def compose(self) -> ComposeResult:
        """Lay out the form."""
        yield SplitLine(id="header")
        with VerticalScroll(can_focus=False):
            yield SplitLine(Content.styled("What should be done?", "bold"), id="asked")
            yield TextArea(id="prompt", compact=True, show_line_numbers=False, tab_behavior="focus", highlight_cursor_line=False)
            yield Static("", id="prompt-problem", markup=False)
            for row in ROWS:
                fields = [self._field(name) for name in row]
                yield Horizontal(*fields) if len(fields) > 1 else fields[0]
        yield Static("", id="summary", markup=False)
        yield KeyFooter()

    def _field(self, name: str) -> Field:
        """Return a field with what was launched last, and with what the settings use while it is empty."""
        settings, last, field = self.ccterm.settings, self.ccterm.memory.now.form, FIELDS.get(name, AT_ONCE_FIELD)
        first = {"repo": str(starting_directory()), "execution_mode": str(settings.execution_mode)}
        configured = {"agent": settings.agent, "model": settings.model, AT_ONCE: str(settings.max_concurrent)}
        value = next((last[known] for known in (name, *field.also) if known in last), first.get(name, ""))
        return Field(name, field.label, value=value, placeholder=configured.get(name) or field.placeholder)

    def on_mount(self) -> None:
        """Set up the suggestions and examine the form."""
        self.query_one("#repo", Field).input.suggester = RepositorySuggester(lambda: self.ccterm.memory.now.repos)
        for name, words in _SUGGESTIONS.items():
            self.query_one(f"#{name}", Field).input.suggester = SuggestFromList(words)
        self.query_one("#header", SplitLine).show(heading("new runs"), self.ccterm.where)
        self.query_one(TextArea).focus()
        self._examine()

    @property
    def form(self) -> dict[str, str]:
        """The text of every field."""
        return {"prompt": self.query_one(TextArea).text} | {field.id or "": field.input.value for field in self.query(Field)}

    @on(Connected)
    @on(TextArea.Changed)
    def _follow_prompt(self) -> None:
        if self._suggesting_branch:
            branch = self.query_one("#branch", Field).input
            with branch.prevent(Input.Changed):
                branch.value = suggest_branch(split_prompts(self.query_one(TextArea).text))
        self._examine()

    @on(Input.Changed)
    def _follow_field(self, event: Input.Changed) -> None:
        if event.input is self.query_one("#branch", Field).input:
            self._suggesting_branch = False
        self._examine()

    def _examine(self) -> None:
        """Show problems at once, and what would happen after a pause in typing."""
        form = self.form
        self._result = examine(form)
        prompts = split_prompts(form["prompt"])
        count = f"{len(prompts)} tasks" if len(prompts) > 1 else "several tasks: put a line --- between them"
        self.query_one("#asked", SplitLine).right = Content.styled(count, "dim")
        problem = self._result.problems.get("prompt", "") if prompts else ""
        self.query_one("#prompt-problem", Static).update(problem)
        self.query_one("#prompt-problem").display = bool(problem)
        for field in self.query(Field):
            shown = self._result.problems.get(field.id or "", "") if prompts or field.id != "branch" else ""
            branches = ", ".join(branches_of(form["branch"], prompts)[:3]) if len(prompts) > 1 else ""
            field.show(problem=shown, note=branches if field.id == "branch" else "")
        self._plan(self._result.drafts)

    @work(group="plan", exclusive=True, exit_on_error=False)
    async def _plan(self, drafts: Sequence[Draft]) -> None:
        """Show what would happen, as the service plans it: what it would refuse is not promised."""
        await asyncio.sleep(PLAN_SECONDS)
        service = self.ccterm.service
        if not drafts or service is None:
            self._summarise(Content.styled("ctrl+s launches once the form is complete" if service else "connecting…", "dim"))
            return
        try:
            tasks = await service.plan(drafts)
        except CctermError as error:
            self._show_error(error)
            return
        notes = list(dict.fromkeys(note for task in tasks for note in task.notes))
        at_once = self._result.at_once or self.ccterm.settings.max_concurrent
        self._summarise(Content.assemble((summarise(tasks, at_once), "bold"), *(f"\n{note}" for note in notes)))

    def _summarise(self, text: Content) -> None:
        self.query_one("#summary", Static).update(text)

    def _show_error(self, error: CctermError) -> None:
        message, fix = describe_error(error)
        self._summarise(Content.assemble((message, "$text-error"), f"\n{fix}" if fix else ""))

    def action_launch(self) -> None:
        """Start the tasks."""
        if not self._result.drafts:
            field, problem = next(iter(self._result.problems.items()))
            self.app.notify(problem, title=field, severity="warning", markup=False)
            return
        self._submit(self._result.drafts)

    @work(group="submit", exclusive=True, exit_on_error=False)
    async def _submit(self, drafts: Sequence[Draft]) -> None:
        if self.ccterm.service is None:
            return
        form = self.form
        try:
            runs = await self.ccterm.service.submit(drafts, max_concurrent=self._result.at_once)
        except CctermError as error:
            self._show_error(error)
            self.app.bell()
            return
        self.ccterm.memory.launched(form)
        self.ccterm.find_new_runs(focus=runs[0].id)
        self.app.notify(f"{len(runs)} run{'' if len(runs) == 1 else 's'} queued", markup=False)
        self.app.pop_screen()

    def action_check(self) -> None:
        """Check the repository and the first branch of the form, and the machine."""
        form, draft = self.form, next(iter(self._result.drafts), None)
        branch = (draft.branch or "") if draft else form["branch"].strip()
        chosen = form["execution_mode"].strip()
        mode = ExecutionMode(chosen) if chosen in list(ExecutionMode) else None
        self.app.push_screen(PreflightScreen(form["repo"].strip(), branch, mode))

    def action_open(self) -> None:
        """Ask for a batch file and launch its tasks."""

        def launch(path: str | None) -> None:
            if path:
                self.ccterm.perform(lambda service: self._launch_file(service, Path(path).expanduser()))

        foot = "YAML or JSON Lines · enter launch all its tasks · esc cancel"
        self.app.push_screen(LineDialog("Which batch file?", foot=foot, value="tasks.yaml"), launch)

    async def _launch_file(self, service: "Service", path: Path) -> str:
        from ccterm.tasks_file import read_tasks  # deferred: slow to import

        drafts, source = await asyncio.to_thread(read_tasks, path)
        runs = await service.submit(drafts, source=source)
        self.ccterm.find_new_runs(focus=runs[0].id)
        self.app.pop_screen()
        return f"{len(runs)} runs of {path.name} queued"

    def action_recall(self, by: int) -> None:
        """Insert an earlier prompt, or a later one."""
        prompts = self.ccterm.memory.now.prompts
        if prompts:
            self._recalled = max(0, min(len(prompts) - 1, self._recalled + by))
            self.query_one(TextArea).load_text(prompts[self._recalled])
