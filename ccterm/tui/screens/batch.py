"""Chooses a batch file: its name is completed, what it would start is shown, and what is wrong with it is said where it can be mended."""

import asyncio
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ccterm.draft import FIELDS, BatchFile, Draft, at_terminal
from ccterm.errors import CctermError, UsageError
from ccterm.models import BranchState, Task
from ccterm.tui.app_base import AppBase
from ccterm.tui.branch_notes import branch_note, guessed
from ccterm.tui.completion import batch_files
from ccterm.tui.launch_form import summarise
from ccterm.tui.screens.dialogs import DIALOG_CSS, LOW
from ccterm.tui.telling import describe_error

if TYPE_CHECKING:  # importing the service takes long, and the first frame does not need it
    from ccterm.service.protocol import Service

LOOK_SECONDS = 0.2
"""After this pause in typing the file is read."""
MOST_TASKS = 6
"""How many tasks are shown."""
_BREAK = "\n"


class BatchDialog(ModalScreen[bool]):
    """Launches the tasks of a file; returns whether it did."""

    VERTICAL_BREAKPOINTS = LOW
    DEFAULT_CSS = DIALOG_CSS.format(name="BatchDialog") + (
        "BatchDialog > Vertical { width: 110; } BatchDialog #files { max-height: 6; } BatchDialog #preview { margin-top: 1; }"
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "Back"),
        Binding("tab", "complete", "Complete", priority=True),
        Binding("down", "move(1)", "Next file", show=False, priority=True),
        Binding("up", "move(-1)", "Previous file", show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._drafts: Sequence[Draft] = ()
        self._source: BatchFile | None = None
        self._states: Sequence[BranchState | None] = ()
        self._offered: str | None = None
        """The text for which files are offered; None = none yet."""

    def compose(self) -> ComposeResult:
        """Lay out the name, the files that it may mean, what one would start, and the keys."""
        with Vertical():
            yield Static("Launch the tasks of which file?", id="title", markup=False)
            yield Input(placeholder="a file of tasks, YAML or JSON Lines", select_on_focus=False)
            files = OptionList(id="files")
            files.can_focus = False
            yield files
            yield Static("", id="preview", markup=False)
            yield Static("tab complete · ↓ ↑ choose · enter launch all its tasks · esc back", id="foot", markup=False)

    def on_mount(self) -> None:
        """Offer the files of the current directory; a single one is shown at once."""
        found = [name for name in batch_files("") if not name.endswith("/")]
        if len(found) == 1:
            line = self.query_one(Input)
            line.value, line.cursor_position = found[0], len(found[0])
        else:
            self._look("")

    @property
    def _app(self) -> AppBase:
        assert isinstance(self.app, AppBase)
        return self.app

    @on(Input.Changed)
    def _follow(self, event: Input.Changed) -> None:
        event.stop()
        self._drafts, self._source, self._states = (), None, ()
        self._look(event.value.strip())

    @work(group="look", exclusive=True, exit_on_error=False)
    async def _look(self, text: str) -> None:
        """Show the files that a text may mean, and what the one that it names would start."""
        self._offer(text, await asyncio.to_thread(batch_files, text))
        await asyncio.sleep(LOOK_SECONDS)
        try:
            if await asyncio.to_thread(_is_file, text):
                await self._read(text)
                await self._plan()
            else:
                self._show(Content(""))
        except CctermError as error:
            self._show_error(error)

    async def _read(self, text: str) -> None:
        from ccterm.tasks_file import read_tasks  # deferred: slow to import

        self._drafts, self._source = await asyncio.to_thread(read_tasks, Path(text).expanduser())

    async def _plan(self) -> None:
        """Show what would start, and what is known of the branches once the remotes have answered. Raises CctermError."""
        service = await self._service()
        today = self._app.clock().astimezone().date()
        tasks = await service.plan([guessed(draft, today) for draft in self._drafts], source=self._source)
        self._show(self._preview(tasks, ()))
        await self._ask(service)
        self._show(self._preview(tasks, self._states))

    async def _ask(self, service: "Service") -> None:
        self._states = await service.branches(self._drafts)
        for state, draft in zip(self._states, self._drafts, strict=True):
            if state and state.is_default and not draft.allow_default_branch:
                raise UsageError(
                    f"{state.branch} is the default branch", "choose another branch, or write allow_default_branch: true beside it"
                )
            if state and state.problem:
                raise UsageError(state.problem)

    async def _service(self) -> "Service":
        await self._app.reached.wait()
        assert self._app.service is not None
        return self._app.service

    def _preview(self, tasks: Sequence[Task], states: Sequence[BranchState | None]) -> Content:
        names = [state.branch if state else task.target for task, state in zip(tasks, states or [None] * len(tasks), strict=True)]
        lines = [Content.styled(summarise(tasks, self._app.settings.max_concurrent), "bold")]
        for index, (name, task) in enumerate(zip(names[:MOST_TASKS], tasks, strict=False)):
            state = states[index] if states else None
            note = f"  {branch_note(state, self._app.clock())}" if state else ""
            lines += [
                Content.assemble((name, "$text-accent"), (note, "dim")),
                Content(f"  {task.prompt.strip().partition(_BREAK)[0][:60]}"),
            ]
        if len(tasks) > MOST_TASKS:
            lines.append(Content.styled(f"and {len(tasks) - MOST_TASKS} more", "dim"))
        notes = dict.fromkeys(note for task in tasks for note in task.notes)
        return Content("\n").join([*lines, *(Content.styled(note, "dim") for note in notes)])

    def _show(self, text: Content) -> None:
        self.query_one("#preview", Static).update(text)

    def _show_error(self, error: CctermError) -> None:
        message, fix = map(_in_file_words, describe_error(error))
        self._show(Content.assemble((message, "$text-error"), f"\n{fix}" if fix else ""))

    def _offer_at_once(self) -> None:
        """Offer what the text may mean now: keys may come faster than the files are looked for."""
        text = self.query_one(Input).value.strip()
        if text != self._offered:
            self._offer(text, batch_files(text))

    def _offer(self, text: str, found: Sequence[str]) -> None:
        if text == self._offered:
            return
        self._offered = text
        files = self.query_one("#files", OptionList)
        files.clear_options()
        files.add_options(Option(Content(name), id=name) for name in found if name != text)
        files.display = bool(files.option_count)

    def action_move(self, by: int) -> None:
        """Choose the next or the previous file of those that are offered."""
        self._offer_at_once()
        files = self.query_one("#files", OptionList)
        if files.option_count:
            here = files.highlighted
            files.highlighted = (0 if by > 0 else files.option_count - 1) if here is None else (here + by) % files.option_count

    def action_complete(self) -> None:
        """Take the chosen file, else what all that are offered begin with."""
        self._offer_at_once()
        names = [option.id or "" for option in self.query_one("#files", OptionList).options]
        chosen = self._chosen
        if names:
            self._take(chosen or os.path.commonprefix(names))  # noqa: RUF071 - of letters, as they are typed

    @property
    def _chosen(self) -> str:
        files = self.query_one("#files", OptionList)
        return "" if files.highlighted is None else files.get_option_at_index(files.highlighted).id or ""

    def _take(self, name: str) -> None:
        line = self.query_one(Input)
        line.value, line.cursor_position = name, len(name)

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._take(event.option_id or "")

    @on(Input.Submitted)
    def _accept(self, event: Input.Submitted) -> None:
        event.stop()
        if self._chosen:
            self._take(self._chosen)
        elif event.value.strip():
            self._app.keys.wait_for(self._launch(event.value.strip()))

    @work(group="look", exclusive=True, exit_on_error=False)
    async def _launch(self, text: str) -> None:
        """Launch the tasks of the file as it is now; what is refused is said here."""
        try:
            service = await self._service()
            await self._read(text)
            await self._ask(service)
            drafts = [at_terminal(draft, self._app.settings) for draft in self._drafts]
            runs = await service.submit(drafts, source=self._source)
        except CctermError as error:
            self._show_error(error)
            self.app.bell()
            return
        self._app.find_new_runs(focus=runs[0].id)
        self.app.notify(f"{len(runs)} run{'' if len(runs) == 1 else 's'} of {Path(text).name} queued", markup=False)
        self.dismiss(True)


def _is_file(text: str) -> bool:
    try:
        return Path(text).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):
        return False


def _in_file_words(text: str) -> str:
    """Return a message that names flags of the command line, with the keys of a batch file instead."""
    for flag, key in _keys():
        text = re.sub(rf"{re.escape(flag)}\b", key, text)
    return text


def _keys() -> Iterator[tuple[str, str]]:
    for name, field in FIELDS.items():
        for flag in field.flags:
            if field.choices:
                yield from ((f"{flag} {value}", f"{(*field.also, name)[0]}: {value}") for value in field.choices)
            yield flag, name
