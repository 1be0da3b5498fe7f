"""Launch: write tasks, see what will happen, start them. What does not fit is said as it is typed; nothing starts before ctrl+s."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static, TextArea

from ccterm.draft import Draft
from ccterm.errors import CctermError
from ccterm.models import ExecutionMode
from ccterm.tui.app_base import spelled_error
from ccterm.tui.completion import RepositorySuggester
from ccterm.tui.launch_form import AT_ONCE, Examined, branches_of, examine, sentence, split_prompts, suggest_branch
from ccterm.tui.messages import Connected
from ccterm.tui.screens.dialogs import LineDialog
from ccterm.tui.screens.run_actions import Hosted
from ccterm.tui.widgets.field import Field
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import heading
from ccterm.tui.widgets.split_line import SplitLine

if TYPE_CHECKING:  # the service brings all that carries runs out; the first frame does without
    from ccterm.service.protocol import Service

PLAN_SECONDS = 0.25
"""How long typing rests before it is asked what would happen."""
_PERMISSIONS = "yes: all that you may do"
_MODELS = ("haiku", "sonnet", "opus")


class LaunchScreen(Hosted, Screen[None]):
    """The form for new tasks."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "launch", "Launch", priority=True, tooltip="Start the tasks"),
        Binding("ctrl+o", "open", "Batch file", priority=True, tooltip="Launch the tasks of a YAML or JSON Lines file"),
        Binding("ctrl+up", "recall(1)", "Earlier task", priority=True, tooltip="Take a task that was launched before"),
        Binding("ctrl+down", "recall(-1)", "Later task", show=False, priority=True),
        Binding("escape", "app.pop_screen", "Back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._examined = Examined()
        self._branch_is_mine = True
        self._recalled = -1

    def compose(self) -> ComposeResult:
        """Lay out the form."""
        last, settings = self.host.memory.now.form, self.host.settings
        yield SplitLine(id="masthead")
        with VerticalScroll(can_focus=False):
            yield SplitLine(Content.styled("What should be done?", "bold"), id="asked")
            yield TextArea(id="prompt", compact=True, show_line_numbers=False, tab_behavior="focus", highlight_cursor_line=False)
            yield Static("", id="prompt-wrong", markup=False)
            yield Field("repo", "Repository", value=last.get("repo", str(Path.cwd())), placeholder="a working copy, or a URL")
            yield Field("branch", "Branch", placeholder="suggested from the task")
            with Horizontal():
                yield Field("base", "From", value=last.get("base", ""), placeholder="the default branch")
                yield Field("mode", "Where", value=last.get("mode", settings.mode), placeholder="local or dagger")
            with Horizontal():
                yield Field("agent", "Agent", value=last.get("agent", ""), placeholder=settings.agent)
                yield Field("model", "Model", value=last.get("model", ""), placeholder=settings.model or "the agent's own")
            with Horizontal():
                yield Field("timeout", "Time", value=last.get("timeout", ""), placeholder="60m")
                yield Field("budget", "Dollars", value=last.get("budget", ""), placeholder="no limit")
                yield Field("max_turns", "Turns", value=last.get("max_turns", ""), placeholder="no limit")
            with Horizontal():
                yield Field(AT_ONCE, "At once", value=last.get(AT_ONCE, ""), placeholder=str(settings.max_concurrent))
                yield Field("skip_permissions", "Allow all", value=last.get("skip_permissions", ""), placeholder=_PERMISSIONS)
            yield Field("setup", "Setup", value=last.get("setup", ""), placeholder="as the settings say; such as npm ci")
            yield Field("verify", "Verify", value=last.get("verify", ""), placeholder="as the settings say; such as npm test")
        yield Static("", id="sentence", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Help with words that are known, and look at the form."""
        self.query_one("#repo", Field).input.suggester = RepositorySuggester(lambda: self.host.memory.now.repos)
        self.query_one("#mode", Field).input.suggester = SuggestFromList([mode.value for mode in ExecutionMode])
        self.query_one("#agent", Field).input.suggester = SuggestFromList(["claude", "scripted"])
        self.query_one("#model", Field).input.suggester = SuggestFromList(_MODELS)
        self.query_one("#skip_permissions", Field).input.suggester = SuggestFromList(["yes", "no"])
        self.query_one("#masthead", SplitLine).show(heading("new runs"), self.host.where)
        self.query_one(TextArea).focus()
        self._examine()

    @property
    def form(self) -> dict[str, str]:
        """What stands in the form."""
        return {"prompt": self.query_one(TextArea).text} | {field.id or "": field.input.value for field in self.query(Field)}

    @on(Connected)
    @on(TextArea.Changed)
    def _take_text(self) -> None:
        if self._branch_is_mine:
            branch = self.query_one("#branch", Field).input
            with branch.prevent(Input.Changed):
                branch.value = suggest_branch(split_prompts(self.query_one(TextArea).text))
        self._examine()

    @on(Input.Changed)
    def _take_field(self, event: Input.Changed) -> None:
        if event.input is self.query_one("#branch", Field).input:
            self._branch_is_mine = False
        self._examine()

    def _examine(self) -> None:
        """Say what is wrong at once, and ask what would happen when typing rests."""
        form = self.form
        self._examined = found = examine(form)
        prompts = split_prompts(form["prompt"])
        count = f"{len(prompts)} tasks" if len(prompts) > 1 else "several tasks: a line --- between them"
        self.query_one("#asked", SplitLine).right = Content.styled(count, "dim")
        wrong = found.problems.get("prompt", "") if prompts else ""
        self.query_one("#prompt-wrong", Static).update(wrong)
        self.query_one("#prompt-wrong").display = bool(wrong)
        for field in self.query(Field):
            shown = found.problems.get(field.id or "", "") if prompts or field.id != "branch" else ""
            several = ", ".join(branches_of(form["branch"], prompts)[:3]) if len(prompts) > 1 else ""
            field.say(wrong=shown, note=several if field.id == "branch" else "")
        self._plan(found.drafts)

    @work(group="plan", exclusive=True, exit_on_error=False)
    async def _plan(self, drafts: Sequence[Draft]) -> None:
        """Say what would happen; the owner itself is asked, so that nothing is promised that it would refuse."""
        await asyncio.sleep(PLAN_SECONDS)
        service = self.host.service
        if not drafts or service is None:
            self._say(Content.styled("ctrl+s launches once the form is complete" if service else "reaching the owner of the runs…", "dim"))
            return
        try:
            tasks = await service.plan(drafts)
        except CctermError as error:
            self._say(Content.assemble((error.message, "$text-error"), f"\n{error.fix}" if error.fix else ""))
            return
        notes = list(dict.fromkeys(note for task in tasks for note in task.notes))
        at_once = self._examined.at_once or self.host.settings.max_concurrent
        self._say(Content.assemble((sentence(tasks, at_once), "bold"), *(f"\n{note}" for note in notes)))

    def _say(self, words: Content) -> None:
        self.query_one("#sentence", Static).update(words)

    def action_launch(self) -> None:
        """Start the tasks."""
        if not self._examined.drafts:
            field, wrong = next(iter(self._examined.problems.items()))
            self.app.notify(wrong, title=field, severity="warning", markup=False)
            return
        self._submit(self._examined.drafts)

    @work(group="submit", exclusive=True, exit_on_error=False)
    async def _submit(self, drafts: Sequence[Draft]) -> None:
        if self.host.service is None:
            return
        form = self.form
        try:
            runs = await self.host.service.submit(drafts, max_concurrent=self._examined.at_once)
        except CctermError as error:
            message, fix = spelled_error(error)
            self._say(Content.assemble((message, "$text-error"), f"\n{fix}" if fix else ""))
            self.app.bell()
            return
        self.host.memory.launched(form)
        self.host.look(runs[0].id)
        self.app.notify(f"{len(runs)} run{'' if len(runs) == 1 else 's'} queued", markup=False)
        self.app.pop_screen()

    def action_open(self) -> None:
        """Ask for a batch file and launch its tasks."""

        def launch(path: str | None) -> None:
            if path:
                self.host.order(lambda service: self._launch_file(service, Path(path).expanduser()))

        self.app.push_screen(
            LineDialog("Which batch file?", foot="YAML or JSON Lines · enter launch all its tasks · esc back", value="tasks.yaml"), launch
        )

    async def _launch_file(self, service: "Service", path: Path) -> str:
        from ccterm.tasks_file import read_tasks  # deferred: costs start-up time

        runs = await service.submit(await asyncio.to_thread(read_tasks, path))
        self.host.look(runs[0].id)
        self.app.pop_screen()
        return f"{len(runs)} runs of {path.name} queued"

    def action_recall(self, by: int) -> None:
        """Take an earlier prompt, or a later one."""
        prompts = self.host.memory.now.prompts
        if prompts:
            self._recalled = max(0, min(len(prompts) - 1, self._recalled + by))
            self.query_one(TextArea).load_text(prompts[self._recalled])
