"""How each tool call stands: looked up in what was written behind it, a piece at a time, so that nothing need be kept of a whole run."""

import json
from collections import OrderedDict

from ccterm.tui.pane.source import Source
from ccterm.tui.pane.spans import Mark

_STEP = 256 * 1024
_ALLOWANCE = 4 * 1024 * 1024
"""Bytes searched between two frames."""
_KEPT = 512


class Outcomes:
    """Tells the mark of a tool call; what was found is remembered for the calls that were asked for last."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._found: OrderedDict[tuple[str, int], Mark | int] = OrderedDict()
        """Call -> its mark, or how far was searched for it in vain."""
        self._left = _ALLOWANCE
        self.behind = False
        """Whether there is more to search right now."""

    def begin_frame(self) -> None:
        """Allow some more searching."""
        self._left, self.behind = _ALLOWANCE, False

    def forget(self) -> None:
        """Begin anew: the transcript is another one."""
        self._found.clear()

    def mark(self, call: str, begin: int) -> Mark:
        """Return how the call with this id stands, whose event ends at `begin`."""
        key = (call, begin)
        known = self._found.pop(key, begin)
        if not isinstance(known, Mark):
            known = self._search(call, known)
        self._found[key] = known
        if len(self._found) > _KEPT:
            self._found.popitem(last=False)
        return known if isinstance(known, Mark) else Mark.OPEN

    def _search(self, call: str, begin: int) -> Mark | int:
        needle = b'"kind":"tool_returned","id":' + json.dumps(call, ensure_ascii=False).encode(errors="replace") + b","
        while begin < self._source.end:
            if self._left <= 0:
                self.behind = True
                return begin
            end = min(begin + _STEP, self._source.end)
            if (at := self._source.find(needle, begin, end)) >= 0:
                ok = self._source.read(at + len(needle), at + len(needle) + 9) == b'"ok":true'
                return Mark.GOOD if ok else Mark.BAD
            self._left -= end - begin
            begin = end
        return begin
