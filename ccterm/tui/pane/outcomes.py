"""What became of an event, such as how a tool call ended: looked up in what follows it in the file, a piece at a time, so that nothing is kept of a whole run."""

from collections import OrderedDict
from typing import NamedTuple

from ccterm.event_lines import HOW_OFTEN, OK, answer_to
from ccterm.tui.pane.source import LineSource, RawLine
from ccterm.tui.pane.spans import CallStatus

_STEP = 256 * 1024
_ALLOWANCE = 4 * 1024 * 1024
"""Bytes searched between two frames."""
_KEPT = 512
_COUNT_BYTES = 64
Outcome = CallStatus | int
"""How a tool call ended; or how often a host was refused."""


class _Search(NamedTuple):
    """What was found so far, and up to which offset the file was searched; None = to the end, whatever follows."""

    found: Outcome
    at: int | None


class Outcomes:
    """Finds what became of events; remembers it for those that were asked for last."""

    def __init__(self, source: LineSource) -> None:
        self._source = source
        self._known: OrderedDict[int, _Search] = OrderedDict()
        """Offset of an event -> what is known of it."""
        self._left = _ALLOWANCE
        self.behind = False
        """Whether there is more to search."""

    def begin_frame(self) -> None:
        """Allow more searching."""
        self._left, self.behind = _ALLOWANCE, False

    def forget(self) -> None:
        """Forget everything: the transcript is another one."""
        self._known.clear()

    def of(self, line: RawLine) -> Outcome | None:
        """Return the status of a tool call, or how often a refused host was asked for by now; None for any other event."""
        call, refusal = line.call, line.refusal
        if not call and not refusal:
            return None
        search = self._known.pop(line.offset, None) or _Search(CallStatus.OPEN if call else refusal.times, line.end)
        if search.at is not None:
            search = self._ending(answer_to(call), search.at) if call else self._counted(refusal.key, search)
        self._known[line.offset] = search
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return search.found

    def _ending(self, needle: bytes, begin: int) -> _Search:
        at, searched = self._find(needle, begin)
        if at is None:
            return _Search(CallStatus.OPEN, searched)
        ok = self._source.read(at + len(needle), at + len(needle) + len(OK)) == OK
        return _Search(CallStatus.GOOD if ok else CallStatus.BAD, None)

    def _counted(self, key: bytes, search: _Search) -> _Search:
        """Return the last count that follows, up to where a later step begins to count anew."""
        found, begin = search.found, search.at or 0
        while True:
            at, begin = self._find(key, begin)
            if at is None:
                return _Search(found, begin)
            begin = at + len(key)
            told = HOW_OFTEN.match(self._source.read(begin, begin + _COUNT_BYTES))
            if told and told[1] == told[2]:
                return _Search(found, None)
            found = int(told[1]) if told else found

    def _find(self, needle: bytes, begin: int) -> tuple[int | None, int]:
        """Return where a needle is, None if it was not found yet, and how far was searched."""
        while begin < self._source.end:
            if self._left <= 0:
                self.behind = True
                return None, begin
            end = min(begin + _STEP, self._source.end)
            if (at := self._source.find(needle, begin, end)) >= 0:
                return at, at
            self._left -= end - begin
            begin = end
        return None, begin
