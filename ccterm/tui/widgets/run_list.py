"""The runs that have no pane, as one line each, and those that are done as one line together."""

from collections import Counter
from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from ccterm.models import RunId, State
from ccterm.tui.run_columns import LISTED, Columns, Moment
from ccterm.tui.run_view import RunView
from ccterm.tui.widgets.header import split_line


class RunList(Widget):
    """Lines of runs; no more of them than there is room for."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    RunList { height: auto; width: 1fr; padding: 0 1; }
    """

    lines: reactive[tuple[Content, ...]] = reactive((), layout=True)
    """What is shown."""

    class Chosen(Message):
        """The user clicked a run."""

        def __init__(self, run: RunId) -> None:
            super().__init__()
            self.run = run

    class Opened(Message):
        """The user clicked a line that stands for several runs. done: for those that are done."""

        def __init__(self, *, done: bool) -> None:
            super().__init__()
            self.done = done

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._runs: list[RunId] = []
        self._done = False

    def show(self, listed: Sequence[RunView], done: Sequence[RunView], moment: Moment, *, room: int, on_done: bool) -> None:
        """Show the current state of these runs in at most `room` lines. on_done: the line of those that are done has the focus."""
        width = max(20, self.app.size.width - 2)
        free = room - bool(done)
        shown = listed if len(listed) <= free else listed[: free - 1]
        self._runs, self._done = [view.run.id for view in shown], bool(done)
        columns = Columns(LISTED, width, shown)
        lines = [columns.line(view, moment) for view in shown]
        if len(shown) < len(listed):
            lines.append(Content.assemble((f" {len(listed) - len(shown)} more", "bold"), ("   t lists all", "dim")))
        if done:
            lines.append(_done_line(done, width, focused=on_done))
        self.lines = tuple(lines)
        self.display = bool(lines)

    def render(self) -> Content:
        """Return the lines."""
        return Content("\n").join(self.lines)

    def on_click(self, event: events.Click) -> None:
        """Choose the run that was clicked, or open the line."""
        event.stop()
        if event.y < len(self._runs):
            self.post_message(self.Chosen(self._runs[event.y]))
        elif event.y < len(self.lines):
            self.post_message(self.Opened(done=self._done and event.y == len(self.lines) - 1))


def _done_line(done: Sequence[RunView], width: int, *, focused: bool) -> Content:
    """Return the line of the runs that are done: 36 done ▸   31 pushed  3 nothing to push  2 cancelled."""
    counts = Counter(_result(view) for view in done)
    edge = ("▌", "$text-primary") if focused else " "
    left = Content.assemble(
        edge, (f"{len(done)} done ▸", "bold"), (f"   {'  '.join(f'{count} {word}' for word, count in counts.items())}", "dim")
    )
    return split_line(left, Content.styled(f"${sum(view.run.cost_usd for view in done):.2f}   enter opens", "dim"), width)


def _result(view: RunView) -> str:
    run = view.run
    if run.pushed:
        return "pushed"
    if run.synced:
        return "undone" if run.synced.undone else "applied"
    return {State.SUCCEEDED: "nothing to push", State.CANCELLED: "cancelled"}.get(run.state, "failed")
