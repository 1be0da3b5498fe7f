"""Which runs get a pane and how panes lie side by side; pure, so that every size can be tried in a test.

Who wants the user gets room, then who works; quiet ones fold to one line. Panes always lie in the order of their numbers, and a run
that has a pane keeps it until somebody needs it more.
"""

from collections.abc import Collection, Iterable, Sequence
from math import ceil
from typing import NamedTuple

from ccterm.models import RunId, State
from ccterm.tui.run_view import RunView

PANE_WIDTH, PANE_HEIGHT = 58, 10
"""The least that a pane should have where there is more than one."""
TALL = 60
"""From this height on there are three rows."""


class Grid(NamedTuple):
    """How panes lie: `tall` = the first one fills a whole column's height, where one place would stay empty."""

    columns: int
    rows: int
    tall: bool = False


class Arrangement(NamedTuple):
    """Who has a pane, and who is one line."""

    panes: tuple[RunId, ...]
    folded: tuple[RunId, ...]
    grid: Grid


def capacity(width: int, height: int) -> tuple[int, int]:
    """Return how many columns and rows of panes fit."""
    return max(1, min(3, width // PANE_WIDTH)), max(1, min(2 if height < TALL else 3, height // PANE_HEIGHT))


def arrange(
    sights: Sequence[RunView], *, size: tuple[int, int], focused: RunId | None, pinned: Collection[RunId], shown: Collection[RunId]
) -> Arrangement:
    """Return the arrangement for an area of `size` cells. shown: who has a pane now."""
    columns, rows = capacity(*size)
    places = columns * rows
    ranked = sorted(sights, key=lambda sight: (_rank(sight, focused, pinned), sight.run.id not in shown))
    chosen = {sight.run.id for sight in ranked[:places] if len(sights) <= places or _rank(sight, focused, pinned) < _QUIET}
    chosen = chosen or {sight.run.id for sight in ranked[:1]}
    ids = [sight.run.id for sight in sights]
    panes = tuple(run for run in ids if run in chosen)
    return Arrangement(panes, tuple(run for run in ids if run not in chosen), grid(len(panes), columns, rows))


def grid(count: int, columns: int, rows: int) -> Grid:
    """Return how so many panes lie in at most so many columns and rows."""
    if count <= 1:
        return Grid(1, 1)
    used_rows = min(rows, ceil(count / columns))
    used = ceil(count / used_rows)
    return Grid(used, used_rows, tall=used_rows == 2 and used * used_rows - count == 1)


_QUIET = 6


def _rank(sight: RunView, focused: RunId | None, pinned: Collection[RunId]) -> int:
    run = sight.run
    if run.id in pinned:
        return 0
    if run.id == focused:
        return 1
    if sight.waits:
        return 2
    if sight.wants:
        return 3
    return {State.RUNNING: 4, State.QUEUED: _QUIET}.get(run.state, _QUIET + 1)


def matches(sight: RunView, words: Iterable[str]) -> bool:
    """Whether all words are found in what a run is called, does or is: its branch, prompt, state, cause, model."""
    run = sight.run
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
    if sight.waits:
        parts.append("waiting")
    text = " ".join(part for part in parts if part).casefold()
    return all(word.casefold() in text for word in words)
