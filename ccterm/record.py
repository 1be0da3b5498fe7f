"""A run's record: every event goes through here, into the transcript and, folded, into the run document in the store."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from ccterm import causes
from ccterm.causes import Cause
from ccterm.errors import StateError
from ccterm.events import (
    BoxesKept,
    Event,
    Finished,
    Held,
    HoldChanged,
    HostAsked,
    Judged,
    Limited,
    Notice,
    NoticeLevel,
    PermissionAnswered,
    PermissionAsked,
    Pushed,
    Salvaged,
    SideKept,
    Spent,
    Started,
    StepFinished,
    Synced,
    Waiting,
)
from ccterm.kept_refs import what_to_do
from ccterm.models import Run, State, now
from ccterm.proof import can_be_delivered
from ccterm.render import rotation
from ccterm.transcript import Transcript
from ccterm.values import PermissionRequest, PushedBranch, RefusedHost, Salvage, StepRecord, Sync, Tokens, UsageWindow

if TYPE_CHECKING:  # the terminal folds events, and its first frame need not wait for SQLite
    from ccterm.store import Store

SPENT_SECONDS = 3.0
MOST_WINDOWS = 8
"""How many usage windows a run document holds."""
MOST_REFUSED = 100
"""How many hosts that were refused a run document holds."""
M = TypeVar("M", bound=BaseModel)
_TOLD_AT_ONCE = (Waiting, PermissionAsked, PermissionAnswered, HoldChanged)
"""Events that change what a user may do next, so that the stored document must not lag behind."""


def fold(run: Run, event: Event) -> Run:
    """Return the run document as it is after the event."""
    if isinstance(event, Finished):
        return _finished(run, event)
    return run.model_copy(update=_changes(run, event))


def rewound(run: Run) -> Run:
    """Return a document without what events add to it bit by bit, to which they are to be applied from the first on."""
    return run.model_copy(update={"steps": (), "refused_hosts": (), "permission_requests": ()})


def replay(run: Run, events: Iterable[Event]) -> Run:
    """Return the document as it is after all events of the run's transcript."""
    run = rewound(run)
    for event in events:
        run = fold(run, event)
    return run


def caught_up(run: Run, events: Iterable[Event]) -> Run:
    """Return a stored document with what its transcript knows beyond it: the daemon died before it could save that."""
    told = replay(run, events)
    names = (
        "cost_usd",
        "about_usd",
        "tokens",
        "turns",
        "requests",
        "throttled",
        "usage_windows",
        "pushed",
        "synced",
        "salvage",
        "kept_in",
        "verdict",
        "changes",
        "side",
        "refused_hosts",
    )
    steps = max(run.steps, told.steps, key=len)
    return run.model_copy(update={"steps": steps, **{name: getattr(told, name) for name in names}})


def _changes(run: Run, event: Event) -> dict[str, object]:
    """Return the fields of the document that an event changes."""
    changes: dict[str, object] = {}
    match event:
        case Held(reason=reason, turn=turn):
            changes = {"held": None if turn else reason or None}
        case Started(at=at):
            changes = {"state": State.RUNNING, "held": None, "started": at}
        case StepFinished(step=step, ok=ok, seconds=seconds, detail=detail):
            changes = {"steps": (*run.steps, StepRecord(name=step, ok=ok, seconds=seconds, detail=detail))}
        case Spent():
            tokens = Tokens(input=event.input, output=event.output, cache=event.cache)
            changes = {"cost_usd": event.cost_usd, "about_usd": event.about_usd, "tokens": tokens, "turns": event.turns}
            changes |= {"requests": event.requests, "throttled": event.throttled}
        case Limited():
            changes = {"usage_windows": _with_window(run.usage_windows, event)}
        case Judged(verdict=verdict, changes=numbers):
            changes = {"verdict": verdict, "changes": numbers}
        case Pushed(remote=remote, ref=ref, sha=sha, verified=verified):
            changes = {"pushed": PushedBranch(remote=remote, ref=ref, sha=sha, verified=verified)}
        case Synced(files=files, linked=linked):
            changes = {"synced": Sync(files=files, linked=linked)}
        case HostAsked(allowed=False):
            changes = {"refused_hosts": _refused(run.refused_hosts, event)}
        case _:
            changes = _waits_for(run, event) or _kept(event)
    return changes


def _with_window(known: tuple[UsageWindow, ...], event: Limited) -> tuple[UsageWindow, ...]:
    told = UsageWindow(limit=event.limit, status=event.status, utilization=event.utilization, resets_at=event.resets_at)
    return (*(window for window in known if window.limit != told.limit), told)[-MOST_WINDOWS:]


def _refused(known: tuple[RefusedHost, ...], event: HostAsked) -> tuple[RefusedHost, ...]:
    """Return the refused hosts with one that was asked for again, or for the first time."""
    host = f"{event.host}:{event.port}"
    place = next((place for place, each in enumerate(known) if each.host == host), len(known))
    if place == MOST_REFUSED:
        return known
    count = event.more + (known[place].count if place < len(known) else 0)
    return (*known[:place], RefusedHost(host=host, count=count, why=event.why), *known[place + 1 :])


def _waits_for(run: Run, event: Event) -> dict[str, object]:
    match event:
        case Waiting(until=until):
            return {"waiting_until": until}
        case HoldChanged(on=on):
            return {"holding": on}
        case PermissionAsked(id=key, tool=tool, summary=summary, always=always):
            asked = PermissionRequest(id=key, tool=tool, summary=summary, always=always)
            return {"permission_requests": (*run.permission_requests, asked)}
        case PermissionAnswered(id=key):
            return {"permission_requests": tuple(each for each in run.permission_requests if each.id != key)}
        case _:
            return {}


def _kept(event: Event) -> dict[str, object]:
    match event:
        case Salvaged(directory=directory, commit=commit, tree=tree, checkpoint=at):
            return {"salvage": Salvage(directory=directory, commit=commit, tree=tree, checkpoint=at)}
        case SideKept(refs=refs):
            return {"side": refs}
        case BoxesKept(directory=directory):
            return {"kept_in": directory or None}
        case _:
            return {}


def _finished(run: Run, event: Finished) -> Run:
    begin = run.started or run.created
    return run.model_copy(
        update={
            "state": event.state,
            "cause": event.cause,
            "reason": event.reason,
            "summary": event.summary,
            "action": _next_action(run, event),
            "held": None,
            "waiting_until": None,
            "permission_requests": (),
            "finished": event.at,
            "seconds": round((event.at - begin).total_seconds(), 3) if event.at else None,
        }
    )


def _next_action(run: Run, event: Finished) -> str:
    deliver, kept = run.task.mode.delivery, can_be_delivered(run)
    action = causes.next_action(event.cause, event.reason, run=run.ref, deliver=deliver, kept=kept, denied=bool(run.denied))
    return action or (what_to_do(run.ref, run.id) if run.side else "") or rotation(run)


def _cleaned(value: M, clean: Callable[[str], str]) -> M:
    """Return a value with its texts cleaned, those of its parts too."""
    parts = ((name, part, _cleaned_part(part, clean)) for name, part in value)
    return value.model_copy(update={name: cleaned for name, part, cleaned in parts if cleaned is not part})


def _cleaned_part(part: object, clean: Callable[[str], str]) -> object:
    if type(part) is str:  # a member of an enumeration is no text
        return clean(part)
    if isinstance(part, BaseModel):
        return _cleaned(part, clean)
    return tuple(_cleaned_part(each, clean) for each in part) if isinstance(part, tuple) else part


class Recorder:
    """The only writer of one run's record.

    store None: what is recorded has no document of its own, such as a late delivery. clean: cleans the texts that ccterm itself records. heard: is told
    each event once it is recorded. spent_after: how soon what the run has used is in the store, in seconds.
    """

    def __init__(
        self,
        run: Run,
        transcript: Transcript,
        store: "Store | None",
        clean: Callable[[str], str] = str,
        *,
        heard: Callable[[Event], None] = lambda _: None,
        spent_after: float = SPENT_SECONDS,
    ) -> None:
        self.run = run
        self._clean = clean
        self._heard = heard
        self._keeping = asyncio.Lock()
        self._stale = False
        self._catching_up: asyncio.Task[None] | None = None
        self._spent_after = spent_after
        self.loop = asyncio.get_running_loop()
        """The event loop that this record belongs to."""
        self._transcript = transcript
        self._store = store
        self._timer: asyncio.TimerHandle | None = None

    @property
    def fault(self) -> OSError | None:
        """What prevents the transcript from being written, or None."""
        return self._transcript.fault

    def emit(self, events: Sequence[Event]) -> None:
        """Append events of ccterm's own, which are cleaned here, and fold them into the run document; never waits."""
        self.emit_clean([_cleaned(event, self._clean) for event in events])

    def emit_clean(self, events: Sequence[Event]) -> None:
        """Append events that the output pipeline has cleaned, and fold them into the run document; never waits.

        Raises RuntimeError in another thread than that of its loop.
        """
        asyncio.get_running_loop()
        for event in self._transcript.append(events):
            self.run = fold(self.run, event)
            self._heard(event)
            if isinstance(event, _TOLD_AT_ONCE):
                self._catch_up()
            elif isinstance(event, Spent | HostAsked) and self._timer is None:
                self._timer = self.loop.call_later(self._spent_after, self._save_spent)

    def _save_spent(self) -> None:
        self._timer = None
        self._catch_up()

    def archive(self, line: str) -> None:
        """Append one cleaned line of the agent to agent.ndjson."""
        self._transcript.archive(line)

    def notice(self, text: str, level: NoticeLevel = "info") -> None:
        """Emit a notice for people."""
        self.emit([Notice(level=level, text=text)])

    def change(self, **fields: object) -> None:
        """Change fields of the run document that no event carries."""
        self.run = self.run.model_copy(update=fields)

    async def save(self) -> None:
        """Make everything so far durable: transcript first, then the store. Raises StateError."""
        await self._transcript.sync()
        await self._keep()

    async def _keep(self) -> None:
        if self._store is not None:
            async with self._keeping:  # else an older document might be the last that is saved
                await asyncio.to_thread(self._store.save, self.run)

    def _catch_up(self) -> None:
        """Save the document beside everything else: other processes read it, and the run itself may do nothing for long."""
        self._stale = True
        if self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.get_running_loop().create_task(self._save_while_stale(), name=f"document of run {self.run.id}")

    async def _save_while_stale(self) -> None:
        while self._stale:
            self._stale = False
            with suppress(StateError):  # the next step's end saves it, or says why it cannot
                await self._keep()

    async def _caught_up(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._catching_up is not None:
            await asyncio.wait([self._catching_up])

    def follow(self, after: int = -1) -> AsyncGenerator[list[Event], None]:
        """Yield batches of events after number `after`; ends after `finished`."""
        return self._transcript.follow(after)

    async def close(self) -> None:
        """Close the transcript without a final event."""
        await self._caught_up()
        await self._transcript.close()

    async def finish(self, state: State, cause: Cause | None = None, reason: str = "", summary: str = "") -> Run:
        """Write the final event and the final document, and close the transcript."""
        self.emit([Finished(state=state, cause=cause, reason=reason, summary=summary)])
        await self._transcript.close()
        if self.run.finished is None:  # the transcript could not take the event: the store records it all the same
            ended = Finished(state=state, cause=cause, reason=reason, summary=summary, at=now())
            self.run = _finished(self.run, _cleaned(ended, self._clean))
        await self._caught_up()
        await self._keep()
        return self.run
