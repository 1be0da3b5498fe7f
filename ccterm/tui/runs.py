"""The runs that the terminal shows, numbered in the order in which they came; the order never changes by itself."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from ccterm.events import Event, Limited
from ccterm.models import Run, RunId, State
from ccterm.render import sign
from ccterm.tui.run_view import RunView


class Runs:
    """Holds the sights of runs and what the service says of the usage windows."""

    def __init__(self) -> None:
        self._sights: dict[RunId, RunView] = {}
        self._limits: dict[str, Limited] = {}

    def __iter__(self) -> Iterator[RunView]:
        return iter(self._sights.values())

    def __len__(self) -> int:
        return len(self._sights)

    def __contains__(self, run: RunId) -> bool:
        return run in self._sights

    def __getitem__(self, run: RunId) -> RunView:
        return self._sights[run]

    def get(self, run: RunId | None) -> RunView | None:
        """Return the sight of a run, or None when it is not shown."""
        return self._sights.get(run) if run else None

    def add(self, run: Run) -> RunView:
        """Show a run; one that is there already keeps its place."""
        return self._sights.setdefault(run.id, RunView.of(run))

    def put(self, run: Run) -> None:
        """Take over a run's document as it is recorded, for what no event carries."""
        if run.id in self._sights:
            self._sights[run.id].run = run

    def drop(self, run: RunId) -> None:
        """Show a run no longer."""
        self._sights.pop(run, None)

    def take(self, event: Event) -> RunView:
        """Take an event in; returns the sight of its run."""
        sight = self._sights[event.run]
        sight.take(event)
        if isinstance(event, Limited):
            self.note_limit(event)
        return sight

    def note_limit(self, event: Limited) -> None:
        """Take what the service says of a usage window, unless a later word is known."""
        known = self._limits.get(event.limit)
        if event.limit != "unknown" and (known is None or known.at is None or event.at is None or known.at <= event.at):
            self._limits[event.limit] = event

    def limits(self, at: datetime) -> list[Limited]:
        """Return the last word on each usage window that has not emptied since, the ones that are used up first."""
        current = [limit for limit in self._limits.values() if limit.resets_at is None or limit.resets_at > at]
        return sorted(current, key=lambda limit: limit.status != "rejected")

    def number(self, run: RunId) -> int:
        """Return a run's number, from 1."""
        return list(self._sights).index(run) + 1

    @property
    def running(self) -> int:
        """How many runs are under way, those that wait for a word among them."""
        return sum(sight.run.state is State.RUNNING for sight in self)

    def counts(self) -> Counter[str]:
        """Return how many runs show each sign."""
        return Counter(sign(sight.run) for sight in self)

    @property
    def live(self) -> int:
        """How many runs have not ended."""
        return sum(not sight.run.state.final for sight in self)

    def spent(self, since: datetime) -> float:
        """Return what the runs created since then cost so far, in dollars."""
        return sum(sight.run.cost_usd for sight in self if sight.run.created >= since)
