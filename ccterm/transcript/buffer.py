"""What a transcript is about to write: numbers events, drops superseded ones, and keeps a run's record within its cap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ccterm import events
from ccterm.events import Event, Finished, Notice, Said, Typing
from ccterm.models import RunId, now
from ccterm.values import to_json

CAP = 64 * 1024 * 1024
"""Bytes of both files of one run together."""
_MARGIN = 1024 * 1024
"""Bytes beyond the cap for events about the run's state."""
_ARCHIVE_SHARE = 3 / 4
"""Part of the cap that the agent's own lines may fill, so that they never crowd out the events."""
_TYPING_SHARE = 1 / 4
"""Part of the cap for text that is still being typed: it comes again in full."""

_ESSENTIAL = (
    events.Queued,
    events.Held,
    events.Started,
    events.StepStarted,
    events.StepFinished,
    events.Steered,
    events.Waiting,
    events.Judged,
    events.Pushed,
    events.Synced,
    events.Salvaged,
    events.BoxesKept,
    events.Finished,
)
"""Events about a run's state. An agent cannot produce any of these at will."""


@dataclass(frozen=True)
class BufferedLine:
    """One line to be written; event: only where it must survive a failed write."""

    line: bytes
    event: Event | None = None


@dataclass(frozen=True)
class WriteBatch:
    """Lines to be written: events, and the agent's own."""

    entries: Sequence[BufferedLine] = ()
    archive: bytes = b""

    def __bool__(self) -> bool:
        return bool(self.entries or self.archive)

    @property
    def lines(self) -> bytes:
        """The events' lines joined."""
        return b"".join(entry.line for entry in self.entries)


class Buffer:
    """Takes a run's events and returns them as lines; does no input or output.

    last: number of the last event on the disk. used, archived: bytes in the files so far.
    """

    def __init__(self, run: RunId, *, last: int = -1, used: int = 0, archived: int = 0, cap: int = CAP) -> None:
        self._run = run
        self._next = last + 1
        self._used = used
        self._archived = archived
        self._cap = cap
        self._entries: list[BufferedLine] = []
        self._archive: list[bytes] = []
        self._typing: tuple[Typing, datetime] | None = None
        self._typed = 0
        self._full = False
        self._archive_full = False
        self._broken = ""
        self._dropped = 0
        self.over = False
        """Whether the run's final event was taken: nothing is written after it."""

    def __bool__(self) -> bool:
        return bool(self._entries or self._archive or self._typing)

    def add(self, event: Event) -> Event:
        """Take an event. Returns it with run, time and number; -1 while it is not certain to be written."""
        at = event.at or now()
        if self.over:
            return self._stamp(event, at)
        if isinstance(event, Typing):
            self._typing = (event, at)
            return self._stamp(event, at)
        self._settle(event)
        if isinstance(event, Finished):
            self._note_dropped()
            self.over = True
        return self._put(event, at)

    def add_line(self, line: str) -> None:
        """Take one line of the agent."""
        data = line.encode(errors="replace") + b"\n"
        if self.over or self._broken or self._archive_full:
            self._dropped += len(data)
        elif self._archived + len(data) > self._cap * _ARCHIVE_SHARE or self._used + len(data) > self._cap:
            self._archive_full = True
            self._dropped += len(data)
            self._put(Notice(level="warn", text="agent.ndjson is full: the agent's own lines are no longer kept"), now())
        else:
            self._archive.append(data)
            self._archived += len(data)
            self._used += len(data)

    def drain(self) -> WriteBatch:
        """Return what there is to write."""
        if self._broken:
            return WriteBatch()
        self._settle()
        return self._take()

    def give_back(self, batch: WriteBatch, landed: int, why: str) -> None:
        """Take back what the disk refused of a batch. From now on only events about the run's state are kept, for `final_lines`."""
        again = [*batch.entries[landed:], *self._entries]
        self._broken = why
        self._next -= len(again)
        self._used -= sum(len(entry.line) for entry in again)
        self._dropped += len(batch.archive) + sum(map(len, self._archive))
        self._dropped += sum(len(entry.line) for entry in again if entry.event is None)
        self._entries, self._archive, self._typing = [], [], None
        for event in [entry.event for entry in again if isinstance(entry.event, _ESSENTIAL)]:
            if isinstance(event, Finished):
                self._note_dropped()
            self._put(event, event.at or now())

    def final_lines(self) -> WriteBatch:
        """Return, after a failed write, what records how the run ended; empty before its end."""
        return self._take() if self._broken and self.over else WriteBatch()

    def _take(self) -> WriteBatch:
        batch = WriteBatch(self._entries, b"".join(self._archive))
        self._entries, self._archive = [], []
        return batch

    def _settle(self, then: Event | None = None) -> None:
        """Emit the text that was being typed, unless the event that follows contains it in full."""
        if self._typing and not (isinstance(then, Said) and not then.agent) and self._typed < self._cap * _TYPING_SHARE:
            before = self._used
            self._put(*self._typing)
            self._typed += self._used - before
        self._typing = None

    def _note_dropped(self) -> None:
        if self._broken:
            self._put(Notice(level="error", text=f"{self._dropped} bytes dropped: {self._broken}"), now(), essential=True)
        elif self._dropped:
            text = f"{self._dropped} bytes dropped: a run's record is limited to {self._cap >> 20} MiB"
            self._put(Notice(level="warn", text=text), now(), essential=True)

    def _put(self, event: Event, at: datetime, *, essential: bool = False) -> Event:
        essential = essential or isinstance(event, _ESSENTIAL)
        stamped = event.stamped(seq=self._next, at=at, run=self._run)
        line = to_json(stamped) + b"\n"
        if not self._has_room(len(line), essential=essential) and not isinstance(event, Finished):
            self._dropped += len(line)
            return self._stamp(event, at)
        self._entries.append(BufferedLine(line, stamped if essential else None))
        self._next += 1
        self._used += len(line)
        return stamped

    def _has_room(self, size: int, *, essential: bool) -> bool:
        if essential:
            return self._used + size <= self._cap + _MARGIN
        if not self._full and not self._broken and self._used + size > self._cap:
            self._full = True
            text = f"the record of this run is full ({self._cap >> 20} MiB): only its state is kept from here on"
            self._put(Notice(level="warn", text=text), now(), essential=True)
        return not self._full and not self._broken

    def _stamp(self, event: Event, at: datetime) -> Event:
        return event.stamped(seq=-1, at=at, run=self._run)
