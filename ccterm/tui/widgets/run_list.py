"""Runs as one line each: number, sign, branch, status, time, cost, and the latest activity."""

from collections.abc import Sequence
from datetime import datetime

from textual import on
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ccterm.models import RunId
from ccterm.tui.run_text import cost, detail, elapsed, status, styled_sign
from ccterm.tui.run_view import RunView
from ccterm.tui.runs import Runs
from ccterm.tui.widgets.header import split_line

WIDE = 90
"""From this width on, the latest activity is shown too."""
NAME_WIDTH = 26
STATUS_WIDTH = 25


class RunList(OptionList, can_focus=False):
    """The runs that have no pane."""

    DEFAULT_CSS = """
    RunList {
        height: auto;
        border: none;
        padding: 0;
        background: transparent;
        scrollbar-size-vertical: 1;
        & > .option-list--option { padding: 0 1; }
    }
    """

    class Chosen(Message):
        """The user clicked a run."""

        def __init__(self, run: RunId) -> None:
            super().__init__()
            self.run = run

    def show(self, ids: Sequence[RunId], runs: Runs, at: datetime) -> None:
        """Show the current state of these runs."""
        width = max(20, self.app.size.width - 4)
        lines = [run_line(runs[run], runs.number(run), at, width) for run in ids]
        if [option.id for option in self.options] != list(ids):
            self.clear_options()
            self.add_options(Option(line, id=run) for run, line in zip(ids, lines, strict=True))
            return
        for index, line in enumerate(lines):
            if self.options[index].prompt != line:
                self.replace_option_prompt_at_index(index, line)

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id:
            self.post_message(self.Chosen(RunId(event.option_id)))


def run_line(view: RunView, number: int, at: datetime, width: int) -> Content:
    """Return one run as one line of `width` cells."""
    run = view.run
    name = Content.assemble(f"{number:>2} ", styled_sign(run), " ", _cell(run.task.target, NAME_WIDTH if width >= WIDE else 20))
    numbers = Content.assemble((f"{elapsed(view, at):>7} {cost(run):>7}", "dim"))
    state = _cell(f"secret printed, {status(view)}" if run.secret_seen else status(view), STATUS_WIDTH).stylize("dim")
    if width < WIDE:
        return split_line(Content.assemble(name, "  ", state), numbers, width)
    return Content.assemble(name, "  ", state, numbers, "  ", (detail(view), "dim")).truncate(width, ellipsis=True)


def _cell(text: str, width: int) -> Content:
    return Content(text).truncate(width, ellipsis=True, pad=True)
