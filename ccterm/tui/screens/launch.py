"""Launch: write tasks, see what will happen, start them. Problems are shown while typing; nothing starts before ctrl+s."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static, TextArea
from textual.worker import Worker

from ccterm.draft import FIELDS, Draft, at_terminal
from ccterm.errors import CctermError
from ccterm.models import BranchState, ExecutionMode
from ccterm.tui.branch_notes import BranchKey, branch_key, branch_notes, guessed
from ccterm.tui.completion import PresetSuggester, RepositorySuggester
from ccterm.tui.launch_form import (
    AT_ONCE,
    CHOICES,
    MAIN,
    MORE,
    MORE_NAMES,
    FormResult,
    error_text,
    examine,
    held,
    label_of,
    plan_text,
    split_prompts,
    unneeded,
)
from ccterm.tui.messages import Connected, RunsChanged
from ccterm.tui.screen_base import CctermScreen
from ccterm.tui.screens.preflight import PreflightScreen
from ccterm.tui.start_form import defaults_of, first_form, kept_form
from ccterm.tui.widgets.choices import Choices, OpenChoices
from ccterm.tui.widgets.field import Field, Fold
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import SplitLine, heading

WIDE = 140
"""From this width on, fields that share a line have room for what is wrong with them below themselves."""
PLAN_SECONDS = 0.25
"""After this pause in typing the service is asked what would happen."""


class LaunchScreen(CctermScreen):
    """The form for new tasks."""

    HELP = (
        "A line of three dashes separates tasks; \\--- is such a line within a task. What is typed is kept as a draft until it is launched."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "launch", "Launch", priority=True, tooltip="Start the tasks"),
        Binding("ctrl+o", "open", "Batch file", priority=True, tooltip="Launch the tasks of a YAML or JSON Lines file"),
        Binding("escape", "leave", "Keep as draft", tooltip="Go back; what is typed stays for the next time"),
        Binding("f2", "more", "More", priority=True, tooltip="Show or hide the fields that are seldom needed"),
        Binding("ctrl+up", "recall(1)", "Previous task", priority=True, tooltip="Insert a task that was launched before"),
        Binding("ctrl+down", "recall(-1)", "Next task", show=False, priority=True),
        Binding("ctrl+l", "clear", "Clear", show=False, priority=True, tooltip="Empty the form"),
        Binding(
            "ctrl+t", "check", "Check", priority=True, tooltip="Check that this repository and branch can be pushed to, and what runs need"
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._result = FormResult()
        self._key: BranchKey = ()
        self._states: Sequence[BranchState | None] = ()
        """What is known of the branches of the tasks; empty while it is asked for."""
        self._recalled, self._changed, self._left = -1, False, False
        self._submission: Worker[None] | None = None
        self._form: dict[str, str] = {}
        self._defaults: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """Lay out the form."""
        self._defaults = defaults_of(self.ccterm.settings)
        self._form = first_form(self.ccterm.memory.now, self._defaults)
        yield SplitLine(id="header")
        with VerticalScroll(can_focus=False):
            yield SplitLine(Content.styled("What should be done?", "bold"), id="asked")
            yield TextArea(
                self._form["prompt"], id="prompt", compact=True, show_line_numbers=False, tab_behavior="focus", highlight_cursor_line=False
            )
            yield Static("", id="prompt-problem", markup=False)
            for name in MAIN:
                yield self._field(name)
            yield Fold(MORE_NAMES)
            with Vertical(id="more"):
                for row in MORE:
                    fields = [self._field(name) for name in row]
                    yield Horizontal(*fields) if len(fields) > 1 else fields[0]
        yield Static("", id="summary", markup=False)
        yield KeyFooter()

    def _field(self, name: str) -> Field:
        value, label = self._form.get(name, ""), label_of(name)
        if name == "model":
            return Field(name, label, OpenChoices(CHOICES[name], value, other="another", placeholder="its full name"))
        if name in CHOICES:
            return Field(name, label, Choices(CHOICES[name], value))
        placeholder = str(self.ccterm.settings.max_concurrent) if name == AT_ONCE else FIELDS[name].placeholder
        return Field.text(name, label, value, placeholder=placeholder)

    def on_mount(self) -> None:
        """Set up the suggestions and examine the form."""
        repository = self._of("repo").control
        if isinstance(repository, Input):
            repository.suggester = RepositorySuggester(lambda: self.ccterm.memory.now.repos)
        network = self._of("egress").control
        if isinstance(network, Input):
            network.suggester = PresetSuggester()
        self.query_one("#header", SplitLine).show(heading("new runs"))
        self.query_one("#more").display = False
        prompt = self.query_one(TextArea)
        prompt.move_cursor(prompt.document.end)
        prompt.focus()
        self._examine()

    def on_resize(self) -> None:
        """Show what is wrong with a field below it, where that is wide enough."""
        self.set_class(self.size.width >= WIDE, "-wide")

    def on_unmount(self) -> None:
        """Keep what was not launched when the terminal quits."""
        if not self._left:
            self.ccterm.memory.keep(kept_form(self._form))

    def action_leave(self) -> None:
        """Keep what is typed and go back."""
        self.ccterm.memory.keep(kept_form(self.form))
        self._close()

    def _close(self) -> None:
        self._left = True
        if self.app.screen is self:  # else it is closed when it comes back
            self.app.pop_screen()

    def _of(self, name: str) -> Field:
        return self.query_one(f"#{name}", Field)

    @property
    def _today(self) -> date:
        return self.ccterm.clock().astimezone().date()

    @property
    def form(self) -> dict[str, str]:
        """The text of every field."""
        return {"prompt": self.query_one(TextArea).text} | {field.id or "": field.value for field in self.query(Field)}

    @on(Connected)
    def _ask_now(self) -> None:
        self._key = ()
        self._examine()

    @on(RunsChanged)
    def _follow_runs(self) -> None:
        """Ask again about the branches once a run that worked on one of them has ended: nothing waits for it any longer."""
        busy = [state.last.run for state in self._states if state and state.last and state.last.active]
        if self._left:
            self._close()
        elif any(view.run.state.final for view in map(self.ccterm.runs.get, busy) if view):
            self._ask_now()

    @on(TextArea.Changed)
    @on(Input.Changed)
    @on(Choices.Changed)
    def _follow(self) -> None:
        """Examine the form once for all that has changed by then: a burst of keys is one change."""
        if not self._changed:
            self._changed = True
            self.call_later(self._examine)

    def _examine(self) -> None:
        """Show problems at once, and what would happen after a pause in typing."""
        self._changed = False
        form = self._form = self.form
        result = examine(form)
        key = branch_key(result.complete)
        if key != self._key:
            self._key, self._states = key, ()
            self._ask(result.complete, key)
        self._result = examine(form, self._states)
        self._show_prompt(form)
        self._show_fields(form)
        self._plan(self._result.drafts)

    def _show_prompt(self, form: dict[str, str]) -> None:
        prompts = split_prompts(form["prompt"])
        count = f"{len(prompts)} tasks" if len(prompts) > 1 else "several tasks: a line --- between them · f1 help"
        self.query_one("#asked", SplitLine).right = Content.styled(count, "dim")
        self._show_prompt_problem(self._result.problems.get("prompt", "") if prompts else "")

    def _show_fields(self, form: dict[str, str]) -> None:
        hidden = unneeded(form, self._states)
        for field in self.query(Field):
            name = field.id or ""
            note = branch_notes(form["branch"].strip(), self._states, self.ccterm.clock()) if name == "branch" else ""
            field.display = name not in hidden
            field.show(problem=self._result.problems.get(name, ""), note=note)
        fold = self.query_one(Fold)
        fold.held = held(form, self._defaults)
        if any(name in self._result.problems for row in MORE for name in row):
            fold.is_open = self.query_one("#more").display = True

    @work(group="branches", exclusive=True, exit_on_error=False)
    async def _ask(self, drafts: Sequence[Draft], key: BranchKey) -> None:
        """Ask what is known of the branches, after a pause in typing; what cannot be asked is said by the plan."""
        await asyncio.sleep(PLAN_SECONDS)
        if drafts and self.ccterm.service is not None:
            try:
                states = await self.ccterm.service.branches(drafts)
            except CctermError:
                self._key = ()  # with the next change it is asked again
                return
            if key == self._key:
                self._states = states
                self._examine()

    @work(group="plan", exclusive=True, exit_on_error=False)
    async def _plan(self, drafts: Sequence[Draft]) -> None:
        """Show what would happen, as the service plans it: what it would refuse is not promised."""
        await asyncio.sleep(PLAN_SECONDS)
        text = await self._planned(drafts)
        if self._submission is None or self._submission.is_finished:  # else they are being launched, which is what is said
            self._summarise(text)

    async def _planned(self, drafts: Sequence[Draft]) -> Content:
        service = self.ccterm.service
        if not drafts or service is None:
            return Content.styled("ctrl+s launches once the form is complete" if service else "connecting…", "dim")
        names = [state.branch if state else None for state in self._states]
        named = [draft.model_copy(update={"branch": name}) for draft, name in zip(drafts, names, strict=True)] if names else drafts
        try:
            tasks = await service.plan([guessed(draft, self._today) for draft in named])
        except CctermError as error:
            return error_text(error)
        return plan_text(tasks, self._result.at_once or self.ccterm.settings.max_concurrent)

    def _summarise(self, text: Content) -> None:
        self.query_one("#summary", Static).update(text)

    def action_launch(self) -> None:
        """Start the tasks."""
        self._examine()
        if not self._result.complete:
            self._show_first_problem()
        elif self._submission is None or self._submission.is_finished:  # else the same tasks would be launched twice
            if self._result.problems:  # the remote's, which may have changed since it was asked
                self._states = ()
            self._submission = self._submit(self._result.complete)
            self.ccterm.keys.wait_for(self._submission)

    def _show_first_problem(self) -> None:
        """Go to the first field with a problem, which stands below it."""
        name, problem = next(iter(self._result.problems.items()))
        if name == "prompt":
            self._show_prompt_problem(problem)
            self.query_one(TextArea).focus()
        else:
            self._of(name).take_focus()
        self.app.bell()

    def _show_prompt_problem(self, problem: str) -> None:
        self.query_one("#prompt-problem", Static).update(problem)
        self.query_one("#prompt-problem").display = bool(problem)

    @work(group="submit", exclusive=True, exit_on_error=False)
    async def _submit(self, drafts: Sequence[Draft]) -> None:
        for group in ("plan", "branches"):  # they would write over what becomes of this
            self.workers.cancel_group(self, group)
        if self.ccterm.service is None:
            self._summarise(Content.styled("connecting…", "dim"))
            await self.ccterm.reached.wait()
        service, form = self.ccterm.service, self._form
        assert service is not None
        try:
            if not self._states:
                self._summarise(Content.styled("asking the remote about the branch…", "dim"))
                self._states = await service.branches(drafts)
                self._examine()
                if self._result.problems:
                    self._show_first_problem()
                    return
                self.workers.cancel_group(self, "plan")
            self._summarise(Content.styled("launching…", "dim"))
            asking = [at_terminal(draft, self.ccterm.settings) for draft in drafts]
            runs = await service.submit(asking, max_concurrent=self._result.at_once)
        except CctermError as error:
            self._key = self._key if self._states else ()  # what could not be asked is, with the next change
            self._summarise(error_text(error))
            self.app.bell()
            return
        self.ccterm.memory.launched(form)
        self.ccterm.find_new_runs(focus=runs[0].id)
        self.app.notify(f"{len(runs)} run{'' if len(runs) == 1 else 's'} queued", markup=False)
        self._close()
        self._leave_checks()

    def _leave_checks(self) -> None:
        """Go from the checks to the runs, where there are some now."""
        if isinstance(self.app.screen, PreflightScreen):
            self.app.pop_screen()

    @on(Fold.Toggled)
    def _show_more(self) -> None:
        self.query_one("#more").display = self.query_one(Fold).is_open

    def action_more(self) -> None:
        """Show or hide the fields that are seldom needed."""
        self.query_one(Fold).action_fold()

    def action_clear(self) -> None:
        """Empty the form."""
        self.query_one(TextArea).load_text("")
        for field in self.query(Field):
            field.value = self._defaults.get(field.id or "", "")

    def action_check(self) -> None:
        """Check the repository and the first branch of the form, and the machine."""
        self._examine()
        branches = [state.branch for state in self._states if state] + [guessed(each, self._today).branch for each in self._result.complete]
        repo, mode = self._form["repo"].strip(), self._form["execution_mode"]
        self.app.push_screen(PreflightScreen(repo, next(filter(None, branches), ""), ExecutionMode(mode)))

    def action_open(self) -> None:
        """Choose a batch file and launch its tasks."""
        from ccterm.tui.screens.batch import BatchDialog  # deferred: few open it

        def leave(launched: bool | None) -> None:
            if launched:
                self.action_leave()
                self._leave_checks()

        self.app.push_screen(BatchDialog(), leave)

    def action_recall(self, by: int) -> None:
        """Insert an earlier prompt, or a later one."""
        prompts = self.ccterm.memory.now.prompts
        if not prompts:
            self.app.notify("no earlier task is remembered", severity="warning", markup=False)
        else:
            self._recalled = max(0, min(len(prompts) - 1, self._recalled + by))
            self.query_one(TextArea).load_text(prompts[self._recalled])
