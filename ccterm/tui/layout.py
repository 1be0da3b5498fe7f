"""Which runs get a pane and how the panes are laid out; pure, so that tests can try every size.

Runs that need attention come first, then those that are running; quiet ones fold to one line. Panes are always in the order of their
numbers, and a run keeps its pane until another one needs it more.
"""

from collections.abc import Collection, Iterable, Sequence
from math import ceil
from typing import NamedTuple

from ccterm.models import RunId, State
from ccterm.tui.run_view import RunView

PANE_WIDTH, PANE_HEIGHT = 58, 10
"""The smallest pane where there is more than one, in cells."""
TALL = 60
"""From this height on there are three rows of panes."""


class Grid(NamedTuple):
    """How panes are laid out. tall: the first one takes two rows, because one cell of the grid would stay empty."""

    columns: int
    rows: int
    tall: bool = False


class Arrangement(NamedTuple):
    """Which runs have a pane, and which are folded to one line."""

    panes: tuple[RunId, ...]
    folded: tuple[RunId, ...]
    grid: Grid


def capacity(width: int, height: int) -> tuple[int, int]:
    """Return how many columns and rows of panes fit."""
    return max(1, min(3, width // PANE_WIDTH)), max(1, min(2 if height < TALL else 3, height // PANE_HEIGHT))


def arrange(
    views: Sequence[RunView], *, size: tuple[int, int], focused: RunId | None, pinned: Collection[RunId], shown: Collection[RunId]
) -> Arrangement:
    """Return the arrangement for an area of `size` cells. shown: the runs that have a pane now."""
    columns, rows = capacity(*size)
    places = columns * rows
    ranked = sorted(views, key=lambda view: (_rank(view, focused, pinned), view.run.id not in shown))
    chosen = {view.run.id for view in ranked[:places] if len(views) <= places or _rank(view, focused, pinned) < _QUIET}
    chosen = chosen or {view.run.id for view in ranked[:1]}
    ids = [view.run.id for view in views]
    panes = tuple(run for run in ids if run in chosen)
    return Arrangement(panes, tuple(run for run in ids if run not in chosen), grid(len(panes), columns, rows))


def grid(count: int, columns: int, rows: int) -> Grid:
    """Return how `count` panes are laid out in at most so many columns and rows."""
    if count <= 1:
        return Grid(1, 1)
    used_rows = min(rows, ceil(count / columns))
    used = ceil(count / used_rows)
    return Grid(used, used_rows, tall=used_rows == 2 and used * used_rows - count == 1)


_QUIET = 6
"""The first rank that gets no pane while others need the room."""


def _rank(view: RunView, focused: RunId | None, pinned: Collection[RunId]) -> int:
    run = view.run
    if run.id in pinned:
        return 0
    if run.id == focused:
        return 1
    if view.waiting:
        return 2
    if view.needs_attention:
        return 3
    return {State.RUNNING: 4, State.QUEUED: _QUIET}.get(run.state, _QUIET + 1)


def matches(view: RunView, words: Iterable[str]) -> bool:
    """Whether a run contains all words: in its branch, prompt, remote, state, cause, model or agent."""
    run = view.run
    parts = [
        run.task.target,
        run.task.prompt,
        run.task.remote or run.task.repo,
        run.state,
        run.cause,
        run.task.model,
        run.task.agent,
        run.held and "held",
    ]
    if view.waiting:
        parts.append("waiting")
    text = " ".join(part for part in parts if part).casefold()
    return all(word.casefold() in text for word in words)
