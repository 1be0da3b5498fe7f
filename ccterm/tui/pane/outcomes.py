"""How each tool call ended: looked up in what follows it in the file, a piece at a time, so that nothing is kept of a whole run."""

from collections import OrderedDict

from ccterm.event_lines import OK, answer_to
from ccterm.tui.pane.source import LineSource
from ccterm.tui.pane.spans import CallStatus

_STEP = 256 * 1024
_ALLOWANCE = 4 * 1024 * 1024
"""Bytes searched between two frames."""
_KEPT = 512


class Outcomes:
    """Finds the status of tool calls; remembers it for those that were asked for last."""

    def __init__(self, source: LineSource) -> None:
        self._source = source
        self._found: OrderedDict[tuple[str, int], CallStatus | int] = OrderedDict()
        """Call -> its status, or how far was searched for it in vain."""
        self._left = _ALLOWANCE
        self.behind = False
        """Whether there is more to search."""

    def begin_frame(self) -> None:
        """Allow more searching."""
        self._left, self.behind = _ALLOWANCE, False

    def forget(self) -> None:
        """Forget everything: the transcript is another one."""
        self._found.clear()

    def status(self, call: str, begin: int) -> CallStatus:
        """Return the status of the call with this id, whose event ends at `begin`."""
        key = (call, begin)
        known = self._found.pop(key, begin)
        if not isinstance(known, CallStatus):
            known = self._search(call, known)
        self._found[key] = known
        if len(self._found) > _KEPT:
            self._found.popitem(last=False)
        return known if isinstance(known, CallStatus) else CallStatus.OPEN

    def _search(self, call: str, begin: int) -> CallStatus | int:
        needle = answer_to(call)
        while begin < self._source.end:
            if self._left <= 0:
                self.behind = True
                return begin
            end = min(begin + _STEP, self._source.end)
            if (at := self._source.find(needle, begin, end)) >= 0:
                ok = self._source.read(at + len(needle), at + len(needle) + len(OK)) == OK
                return CallStatus.GOOD if ok else CallStatus.BAD
            self._left -= end - begin
            begin = end
        return begin
