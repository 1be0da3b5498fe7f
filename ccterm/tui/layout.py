"""Which runs get a pane and how the panes are laid out; pure, so that tests can try every size.

The order is the same everywhere: runs that wait for the user, failed ones that nobody has looked at, running, queued, done. Those that are
done never take a place from the others, and a run keeps its pane until another one needs it more.
"""

from collections.abc import Collection, Iterable, Sequence
from math import ceil
from typing import Literal, NamedTuple

from textual.geometry import Region, Size

from ccterm.models import RunId
from ccterm.tui.run_view import RunView, Standing

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
    """Which runs have a pane, which have a line of their own, and which are done and share one line; each in order."""

    panes: tuple[RunId, ...]
    listed: tuple[RunId, ...]
    done: tuple[RunId, ...]
    grid: Grid


Corner = tuple[Literal["bottom", "top"], Literal["right", "left"]]
TOAST = Size(62, 5)
"""The room that one takes, in cells."""


def free_corner(screen: Size, chosen: Region) -> Corner | None:
    """Return the corner of the screen in which a toast does not cover the chosen pane, the lower right one first; None when there is none."""
    width, height = min(TOAST.width, screen.width // 2), TOAST.height
    lower, right = screen.height - 1 - height, screen.width - width  # above the footer, below the header
    places: dict[Corner, Region] = {
        ("bottom", "right"): Region(right, lower, width, height),
        ("bottom", "left"): Region(0, lower, width, height),
        ("top", "right"): Region(right, 1, width, height),
        ("top", "left"): Region(0, 1, width, height),
    }
    return next((corner for corner, place in places.items() if not place.overlaps(chosen)), None)


def in_order(views: Iterable[RunView]) -> list[RunView]:
    """Return runs in the order in which they are shown; within a group, in the order in which they were started."""
    return sorted(views, key=lambda view: view.standing)


def capacity(width: int, height: int) -> tuple[int, int]:
    """Return how many columns and rows of panes fit."""
    return max(1, min(3, width // PANE_WIDTH)), max(1, min(2 if height < TALL else 3, height // PANE_HEIGHT))


def arrange(
    views: Sequence[RunView], *, size: tuple[int, int], focused: RunId | None, pinned: Collection[RunId], shown: Collection[RunId]
) -> Arrangement:
    """Return the arrangement for an area of `size` cells. shown: the runs that have a pane now."""
    columns, rows = capacity(*size)
    ordered = in_order(views)
    chosen = _with_pane(ordered, columns * rows, focused, pinned, shown)
    panes = tuple(view.run.id for view in ordered if view.run.id in chosen)
    others = [view for view in ordered if view.run.id not in chosen]
    active = [view.run.id for view in others if view.standing is not Standing.DONE]
    done = [view.run.id for view in others if view.standing is Standing.DONE]
    if len(done) == 1:  # it takes no more room as itself
        active, done = active + done, []
    return Arrangement(panes, tuple(active), tuple(done), grid(len(panes), columns, rows))


def _with_pane(
    ordered: Sequence[RunView], places: int, focused: RunId | None, pinned: Collection[RunId], shown: Collection[RunId]
) -> set[RunId]:
    """Return the runs that get one of so many places: all that fit, else first what the user has chosen, then at most half for attention."""
    if len(ordered) <= places:
        return {view.run.id for view in ordered}
    kept = sorted(ordered, key=lambda view: (view.standing, view.run.id not in shown))
    needy = [view.run.id for view in kept if view.needs_attention]
    running = [view.run.id for view in kept if view.standing is Standing.RUNNING]
    own = [view.run.id for view in ordered if view.run.id in pinned or view.run.id == focused]
    own.sort(key=lambda run: run not in pinned)
    half = max(1, places // 2) - sum(run in needy for run in own)
    wanted = [*own, *[run for run in needy if run not in own][: max(0, half)], *running, *needy]
    return set(list(dict.fromkeys(wanted))[:places]) or {ordered[0].run.id}


def grid(count: int, columns: int, rows: int) -> Grid:
    """Return how `count` panes are laid out in at most so many columns and rows."""
    if count <= 1:
        return Grid(1, 1)
    used_rows = min(rows, ceil(count / columns))
    used = ceil(count / used_rows)
    return Grid(used, used_rows, tall=used_rows == 2 and used * used_rows - count == 1)
