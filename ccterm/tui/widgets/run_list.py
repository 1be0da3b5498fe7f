"""Runs as one line each: number, sign, name, how it stands, time, cost, and the last thing it did."""

from collections.abc import Sequence
from datetime import datetime

from textual import on
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ccterm.models import RunId
from ccterm.tui.run_view import RunView
from ccterm.tui.runs import Runs
from ccterm.tui.widgets.split_line import spread
from ccterm.tui.words import cost, detail, elapsed, signed, standing

NAME_WIDTH = 26
STANDING_WIDTH = 24


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
        """The user pointed at a run."""

        def __init__(self, run: RunId) -> None:
            super().__init__()
            self.run = run

    def show(self, runs: Sequence[RunId], roster: Runs, at: datetime) -> None:
        """Show these runs as they stand now."""
        width = max(20, self.app.size.width - 4)
        lines = [row(roster[run], roster.number(run), at, width) for run in runs]
        if [option.id for option in self.options] != list(runs):
            self.clear_options()
            self.add_options(Option(line, id=run) for run, line in zip(runs, lines, strict=True))
            return
        for index, line in enumerate(lines):
            if self.options[index].prompt != line:
                self.replace_option_prompt_at_index(index, line)

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id:
            self.post_message(self.Chosen(RunId(event.option_id)))


def row(sight: RunView, number: int, at: datetime, width: int) -> Content:
    """Return one run as one line of `width` cells."""
    run = sight.run
    named = Content.assemble(f"{number:>2} ", signed(run), " ", _cell(run.task.target, NAME_WIDTH if width >= 90 else 20))
    numbers = Content.assemble((f"{elapsed(sight, at):>7} {cost(run):>7}", "dim"))
    stands = _cell(standing(sight), STANDING_WIDTH).stylize("dim")
    if width < 90:
        return spread(Content.assemble(named, "  ", stands), numbers, width)
    return Content.assemble(named, "  ", stands, numbers, "  ", (detail(sight), "dim")).truncate(width, ellipsis=True)


def _cell(text: str, width: int) -> Content:
    return Content(text).truncate(width, ellipsis=True, pad=True)
