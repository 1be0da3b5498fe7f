"""Conversations: runs that go on with one another, each as one row, that of the newest."""

from collections.abc import Iterable, Mapping, Sequence

from ccterm.models import Run, RunId
from ccterm.tui.run_columns import COLUMNS, NARROW, WIDE, Column
from ccterm.tui.run_text import cost, whole_seconds
from ccterm.tui.run_view import RunView


def folded(runs: Iterable[Run]) -> list[RunView]:
    """Return a view of each run that no other one continues, in their order; it knows those that it goes on with itself."""
    known = {run.id: run for run in runs}
    continued = {run.continues for run in known.values()}
    return [RunView(run, before=_before(run, known)) for run in known.values() if run.id not in continued]


def _before(run: Run, known: Mapping[RunId, Run]) -> tuple[Run, ...]:
    """Return the runs that a run goes on with, the oldest first, as far as they are known."""
    found: list[Run] = []
    while run.continues and run.continues in known and len(found) < len(known):
        run = known[run.continues]
        found.append(run)
    return tuple(reversed(found))


def columns_for(views: Sequence[RunView], width: int) -> Mapping[str, Column]:
    """Return the columns of conversations that have ended, for lines of `width` cells. Time and cost are those of all their runs."""
    wide, several = width >= WIDE, any(view.before for view in views)
    runs = Column("runs", 7, lambda view, _: _runs(view), lambda view, _: (len(view.thread), ""), right=True)
    time = Column("time", 7, lambda view, _: whole_seconds(_seconds(view)), lambda view, _: (_seconds(view), ""), right=True)
    total = Column("cost", 7, lambda view, _: _cost(view), lambda view, _: (view.cost_usd, ""), room=NARROW, right=True)
    day = "%m-%d %H:%M" if wide else "%m-%d"
    queued = COLUMNS["started"]._replace(
        width=11 if wide else 5, room=NARROW, cell=lambda view, _: f"{view.run.created.astimezone():{day}}"
    )
    return {
        **{key: COLUMNS[key] for key in ("number", "sign", "name", "status")},
        **({"runs": runs} if several else {}),
        **({"time": time} if wide else {}),
        "cost": total,
        "queued": queued,
        "detail": COLUMNS["detail"],
    }


def _runs(view: RunView) -> str:
    return f"{len(view.thread)} runs" if view.before else ""


def _seconds(view: RunView) -> float:
    return sum(run.seconds or 0 for run in view.thread)


def _cost(view: RunView) -> str:
    return f"${view.cost_usd:.2f}" if view.before else cost(view.run)
