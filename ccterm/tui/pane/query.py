"""Queries for words and kinds of events, and what reads a transcript for them a little at a time: scan, search, and the count of new lines."""

import json
import re
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from ccterm.event_lines import NOT_OK
from ccterm.events import Event
from ccterm.tui.pane.lines import failed, lines, plain_text
from ccterm.tui.pane.rendering import SILENT, TRANSIENT, parsed
from ccterm.tui.pane.source import LineSource, RawLine

KINDS = {
    "@said": frozenset({"said"}),
    "@tool": frozenset({"tool_called", "tool_returned"}),
    "@output": frozenset({"printed"}),
    "@notice": frozenset({"notice", "limited", "retrying", "host_asked"}),
    "@steer": frozenset({"steered", "waiting"}),
    "@step": frozenset({"held", "step_started", "step_finished", "verdict", "pushed", "synced", "salvaged", "boxes_kept", "finished"}),
}
ERROR = "@error"
_VERBATIM = frozenset({"said", "printed", "tool_called", "tool_returned"})
"""Kinds whose words are in the file as they are shown: most of a transcript is skipped without parsing."""
_LINES_BETWEEN_CHECKS = 32
MANY = 9_999
"""Lines are counted up to this number."""
_BYTES_A_PASS = 256 * 1024


class Query:
    """Words and kinds. `@said`, `@tool`, `@output`, `@notice`, `@steer`, `@step` and `@error` select kinds; the rest is searched for.

    A query without capital letters ignores case.
    """

    def __init__(self, text: str) -> None:
        parts = text.split()
        chosen = [part for part in parts if part in KINDS or part == ERROR]
        self.text = text.strip() if not chosen else " ".join(part for part in parts if part not in chosen)
        self.kinds = frozenset().union(*(KINDS[part] for part in chosen if part in KINDS))
        self.errors = ERROR in chosen
        self._any_case = self.text == self.text.lower()
        self.pattern = re.compile(re.escape(self.text), re.IGNORECASE if self._any_case else 0)
        self._needle = self._folded(json.dumps(self.text, ensure_ascii=False)[1:-1].encode(errors="replace"))

    def __bool__(self) -> bool:
        return bool(self.text or self.kinds or self.errors)

    def matches(self, line: RawLine) -> int:
        """Return how many lines of an event's text match; 0 when the event does not."""
        kind = line.kind
        if kind in SILENT or kind in TRANSIENT or not self._may_match(kind, line.data):
            return 0
        event = parsed(line)
        if (self.kinds or self.errors) and not (kind in self.kinds or (self.errors and failed(event))):
            return 0
        return len(self.matching_lines(event)) if self.text else 1

    def matching_lines(self, event: Event) -> list[int]:
        """Return the numbers of an event's lines that contain the words."""
        return [number for number, line in enumerate(plain_text(event).split("\n")) if self.pattern.search(line)]

    def _may_match(self, kind: str, data: bytes) -> bool:
        if (self.kinds or self.errors) and kind not in self.kinds and not (self.errors and _may_fail(kind, data)):
            return False
        return kind not in _VERBATIM or not self.text or self._needle in self._folded(data) or not self.text.isascii()

    def _folded(self, data: bytes) -> bytes:
        return data.lower() if self._any_case else data


def _may_fail(kind: str, data: bytes) -> bool:
    return NOT_OK in data if kind == "tool_returned" else kind not in _VERBATIM


class QueryScan:
    """The events of a source that match a query, in order, as far as it was read."""

    def __init__(self, source: LineSource, query: Query) -> None:
        self.query = query
        self.position = 0
        """How far the source was read, in bytes."""
        self._source = source
        self._offsets = array("Q")
        self._totals = array("Q")
        """Matching lines up to and including each event."""

    @property
    def count(self) -> int:
        """How many lines were found."""
        return self._totals[-1] if self._totals else 0

    @property
    def done(self) -> bool:
        """Whether the whole source was read."""
        return self.position >= self._source.end

    def advance(self, seconds: float) -> bool:
        """Read on for so many seconds. Returns whether something was found."""
        before, until = len(self._offsets), time.perf_counter() + seconds
        for number, line in enumerate(self._source.after(self.position)):
            self._take(line)
            if number % _LINES_BETWEEN_CHECKS == 0 and time.perf_counter() > until:
                break
        return len(self._offsets) > before

    def _take(self, line: RawLine) -> None:
        self.position = line.end
        if found := self.query.matches(line):
            self._offsets.append(line.offset)
            self._totals.append(self.count + found)

    def before(self, offset: int) -> Iterator[int]:
        """Yield the offsets of matching events before an offset, the last first."""
        for index in range(bisect_left(self._offsets, offset) - 1, -1, -1):
            yield self._offsets[index]

    def after(self, offset: int) -> Iterator[int]:
        """Yield the offsets of matching events from an offset on."""
        for index in range(bisect_left(self._offsets, offset), len(self._offsets)):
            yield self._offsets[index]

    def count_before(self, offset: int) -> int:
        """Return how many lines were found in events before an offset."""
        index = bisect_right(self._offsets, offset - 1) if offset else 0
        return self._totals[index - 1] if index else 0

    def restart(self) -> None:
        """Forget everything: the source has started again."""
        self.position = 0
        self._offsets, self._totals = array("Q"), array("Q")


class Hit(NamedTuple):
    """A matching line."""

    offset: int
    """Where its event begins."""
    line: int
    """Its number in the event's text."""


class Search:
    """A search under way: starts at the end, and continues while the transcript grows."""

    def __init__(self, source: LineSource, query: Query) -> None:
        self.scan = QueryScan(source, query)
        self.hit: Hit | None = None
        self._source = source

    def go(self, last: int, *, forward: bool) -> Hit | None:
        """Go to the next or the previous match; the first time, to the last one up to the event at `last`, the last one shown."""
        self.hit = self._neighbour(self.hit, forward=forward) if self.hit else self._nearest(last)
        return self.hit

    def restart(self) -> None:
        """Forget everything: the transcript is another one."""
        self.hit = None
        self.scan.restart()

    def number(self) -> int:
        """Return the number of the current match among all, from 1; 0 when there is none."""
        if self.hit is None:
            return 0
        inside = sum(line <= self.hit.line for line in self._lines(self.hit.offset))
        return self.scan.count_before(self.hit.offset) + inside

    def _nearest(self, last: int) -> Hit | None:
        if (offset := next(self.scan.before(last + 1), None)) is not None:
            return self._hit(offset, -1)
        offset = next(self.scan.after(last + 1), None)
        return self._hit(offset, 0) if offset is not None else None

    def _neighbour(self, hit: Hit, *, forward: bool) -> Hit:
        inside = [line for line in self._lines(hit.offset) if (line > hit.line if forward else line < hit.line)]
        if inside:
            return Hit(hit.offset, inside[0 if forward else -1])
        offset = next(self.scan.after(hit.offset + 1) if forward else self.scan.before(hit.offset), None)
        return hit if offset is None else self._hit(offset, 0 if forward else -1)

    def _hit(self, offset: int, which: int) -> Hit:
        found = self._lines(offset)
        return Hit(offset, found[which] if found else 0)

    def _lines(self, offset: int) -> list[int]:
        line = self._source.line(offset)
        return self.scan.query.matching_lines(parsed(line)) if line else []


class NewLines:
    """Counts the lines of a source that were added since `restart`."""

    def __init__(self, source: LineSource) -> None:
        self.count = 0
        """How many lines were added, MANY at most."""
        self._source = source
        self._begin = 0
        self._read = 0

    def restart(self) -> None:
        """Count from here on."""
        self.count, self._begin, self._read = 0, self._source.end, self._source.end

    def advance(self, only: QueryScan | None) -> None:
        """Continue to count, within bounds. only: the filter, where not everything is shown."""
        if only:
            self.count = min(MANY, only.count - only.count_before(self._begin))
            return
        until = self._read + _BYTES_A_PASS
        for line in self._source.after(self._read):
            if self.count >= MANY or line.offset > until:
                break
            self._read = line.end
            if line.kind not in SILENT | TRANSIENT:
                self.count = min(MANY, self.count + len(lines(parsed(line))))
