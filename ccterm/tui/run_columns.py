"""Runs as lines with columns: the same for the list below the panes and for the table, which has room for more of them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from rich.cells import cell_len
from textual.content import Content

from ccterm.models import RunId
from ccterm.tui.run_text import cost, detail, elapsed, name, repository, shortened, status, styled_sign
from ccterm.tui.run_view import RunView

WIDE = 90
"""From this width on, the latest activity is shown too."""
NARROW = 56
"""From this width on, time and cost are shown too."""
NARROWEST_NAME, NARROWEST_STATUS = 20, 10
ROOMY, LONGEST_STATUS = 110, 40
"""From this width on, the status is as wide as the longest, up to so many cells."""


class Moment(NamedTuple):
    """What a line depends on beside its run. selected: the runs that the user has selected."""

    at: datetime
    selected: Collection[RunId] = ()


class Column(NamedTuple):
    """A column. width: in cells, 0 = it depends on the runs and on what the others leave. room: how wide a line must be for it. order: what it is sorted by."""

    title: str
    width: int
    cell: Callable[[RunView, Moment], Content | str]
    order: Callable[[RunView, Moment], tuple[float, str]]
    room: int = 0
    right: bool = False
    dim: bool = True


def _status(view: RunView) -> str:
    return f"secret printed, {status(view)}" if view.run.secret_seen else status(view)


def _number(view: RunView, moment: Moment) -> Content | str:
    label = view.run.label
    return Content.styled(f"*{label}", "bold $text-accent") if view.run.id in moment.selected else label


COLUMNS: Mapping[str, Column] = {
    "number": Column("run", 0, _number, lambda view, _: (view.run.created.timestamp(), view.run.id), right=True, dim=False),
    "sign": Column("", 1, lambda view, _: styled_sign(view.run), lambda view, _: (view.standing, view.run.id), dim=False),
    "name": Column("name", 0, lambda view, _: name(view.run), lambda view, _: (0, name(view.run).casefold()), dim=False),
    "status": Column("status", 25, lambda view, _: _status(view), lambda view, _: (0, _status(view))),
    "time": Column("time", 7, lambda view, now: elapsed(view, now.at), lambda view, now: (view.seconds(now.at) or 0, ""), room=NARROW, right=True),
    "cost": Column("cost", 7, lambda view, _: cost(view.run), lambda view, _: (view.run.cost_usd, ""), room=NARROW, right=True),
    "turns": Column("turns", 5, lambda view, _: str(view.run.turns or ""), lambda view, _: (view.run.turns, ""), room=110, right=True),
    "repository": Column("repository", 16, lambda view, _: repository(view.run), lambda view, _: (0, repository(view.run).casefold()), room=110),
    "network": Column("network", 9, lambda view, _: view.run.task.egress.text, lambda view, _: (len(view.run.task.egress.hosts), view.run.task.egress.text), room=170),
    "batch": Column("batch", 6, lambda view, _: view.batch, lambda view, _: (view.run.created.timestamp(), view.run.batch or ""), room=130, right=True),
    "started": Column("queued at", 11, lambda view, _: f"{view.run.created.astimezone():%m-%d %H:%M}", lambda view, _: (view.run.created.timestamp(), ""), room=150),
    "detail": Column("activity", 0, lambda view, _: detail(view), lambda view, _: (0, detail(view)), room=WIDE),
}  # fmt: skip
LISTED = {key: COLUMNS[key] for key in ("number", "sign", "name", "status", "time", "cost", "detail")}
"""The columns of the list; the table has all."""


def _gap(key: str) -> int:
    """Return how many cells there are between a column and the next one."""
    return 1 if key in ("number", "sign") else 2


class Columns:
    """Which columns fit into lines of `width` cells, and how wide they are."""

    def __init__(self, columns: Mapping[str, Column], width: int, views: Sequence[RunView]) -> None:
        """Share the width out. views: the runs that are shown; the longest of their names counts."""
        self.width, self._columns = width, columns
        shown = [key for key in columns if columns[key].room <= width]
        fixed = {key: columns[key].width for key in shown} | {"number": max([4, *(len(view.run.label) for view in views)]) + 1}
        rest = width - sum(fixed[key] + _gap(key) for key in shown) + _gap(shown[-1])
        if width >= ROOMY and "status" in shown:  # what a run is held for may be long
            more = min(LONGEST_STATUS, max((cell_len(_status(view)) for view in views), default=0)) - fixed["status"]
            fixed["status"] += max(0, more)
            rest -= max(0, more)
        longest = max((cell_len(name(view.run)) for view in views), default=0)
        needed = min(NARROWEST_NAME, longest)
        if rest < needed and "status" in shown:  # a run without its name is none that one could find
            less = min(needed - rest, fixed["status"] - NARROWEST_STATUS)
            fixed["status"] -= less
            rest += less
        wide = "detail" in shown
        named = max(NARROWEST_NAME, min(longest, rest * 6 // 10)) if wide else rest
        flexible = {"name": named, "detail": max(0, rest - named)}
        self.widths = {key: flexible.get(key, fixed[key]) for key in shown}

    def line(self, view: RunView, moment: Moment) -> Content:
        """Return one run as a line."""
        return self._joined({key: self._cell(key, view, moment) for key in self.widths})

    def head(self, sorted_by: str, *, backwards: bool) -> Content:
        """Return the line above the runs, which says what they are sorted by."""
        arrow = "▼" if backwards else "▲"
        titles = {key: f"{self._columns[key].title} {arrow if key == sorted_by else ''}".strip() for key in self.widths}
        return self._joined({key: self._fit(key, Content(title)) for key, title in titles.items()})

    def at(self, x: int) -> str:
        """Return the column at a cell of the line; "" beyond the last one."""
        for key, width in self.widths.items():
            x -= width + _gap(key)
            if x < 0:
                return key
        return ""

    def _joined(self, cells: Mapping[str, Content]) -> Content:
        parts = [part for key, cell in cells.items() for part in (cell, " " * _gap(key))]
        return Content.assemble(*parts[:-1]).truncate(self.width, ellipsis=True)

    def _cell(self, key: str, view: RunView, moment: Moment) -> Content:
        column = self._columns[key]
        text = column.cell(view, moment)
        if isinstance(text, str):
            text = Content(shortened(text, self.widths[key]) if key == "name" else text)
        return self._fit(key, text.stylize("dim") if column.dim else text)

    def _fit(self, key: str, text: Content) -> Content:
        width = self.widths[key]
        cut = text.truncate(width, ellipsis=True)
        return cut.pad_left(width - cut.cell_length) if self._columns[key].right else cut.pad_right(width - cut.cell_length)
