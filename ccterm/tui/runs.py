"""The runs that the terminal shows, in the order in which they appeared."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from ccterm.causes import Cause
from ccterm.events import Event, Limited
from ccterm.models import BatchId, Run, RunId, State
from ccterm.render import sign
from ccterm.tui.run_view import RunView
from ccterm.tui.toasts import Happening


class Runs:
    """Holds the views of runs, and the latest report on each usage window."""

    def __init__(self) -> None:
        self._views: dict[RunId, RunView] = {}
        self._batches: dict[BatchId, str] = {}
        self.known = False
        """Whether all runs that there were at the start are here."""
        self.last: Happening | None = None
        """What happened last."""
        self._limits: dict[str, Limited] = {}

    def __iter__(self) -> Iterator[RunView]:
        return iter(self._views.values())

    def __len__(self) -> int:
        return len(self._views)

    def __contains__(self, run: RunId) -> bool:
        return run in self._views

    def __getitem__(self, run: RunId) -> RunView:
        return self._views[run]

    def get(self, run: RunId | None) -> RunView | None:
        """Return the view of a run, or None when it is not shown."""
        return self._views.get(run) if run else None

    def add(self, run: Run) -> RunView:
        """Show a run; one that is shown already stays as it is."""
        view = self._views.setdefault(run.id, RunView.of(run))
        if run.batch:
            view.batch = self._batches.setdefault(run.batch, run.label)
        return view

    def update(self, run: Run) -> None:
        """Replace a run's document by the recorded one, which knows what no event carries."""
        if run.id in self._views:
            self._views[run.id].run = run

    def remove(self, run: RunId) -> None:
        """No longer show a run."""
        self._views.pop(run, None)

    def apply(self, event: Event) -> RunView:
        """Apply an event; returns the view of its run."""
        view = self._views[event.run]
        view.apply(event)
        if isinstance(event, Limited):
            self.note_limit(event)
        return view

    def note_limit(self, event: Limited) -> None:
        """Note a report on a usage window, unless a later one is known."""
        known = self._limits.get(event.limit)
        if event.limit != "unknown" and (known is None or known.at is None or event.at is None or known.at <= event.at):
            self._limits[event.limit] = event

    def limits(self, at: datetime) -> list[Limited]:
        """Return the latest report on each usage window that has not been reset since, those that are used up first."""
        current = [limit for limit in self._limits.values() if limit.resets_at is None or limit.resets_at > at]
        return sorted(current, key=lambda limit: limit.status != "rejected")

    @property
    def refused(self) -> list[RunId]:
        """The runs whose login Claude refused."""
        return [view.run.id for view in self if view.run.cause is Cause.AUTH and view.run.state.final]

    @property
    def running(self) -> int:
        """How many runs are running, including those that wait for input."""
        return sum(view.run.state is State.RUNNING for view in self)

    def counts(self) -> Counter[str]:
        """Return how many runs have each sign."""
        return Counter(sign(view.run) for view in self)

    @property
    def active(self) -> int:
        """How many runs have not ended."""
        return sum(not view.run.state.final for view in self)

    def spent(self, since: datetime) -> float:
        """Return what the runs created since then have cost so far, in dollars."""
        return sum(view.run.cost_usd for view in self if view.run.created >= since)
