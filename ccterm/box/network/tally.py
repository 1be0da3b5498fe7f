"""Counts what programs of a box asked the proxy for, and tells it: a host at once when it is new, further requests together."""

from collections.abc import Callable
from typing import TypedDict

PAUSE = 5.0
"""Seconds between two reports about one host."""
MOST = 500
"""Hosts that are told of. What asks for more of them is told once."""
_MOST_SENTENCES = 20
_LONGEST_NAME = 253
"""Characters of a host that are told of: those of the longest name."""
_LONGEST_PORT = 5


class EgressCount(TypedDict):
    """What was asked for, as in the frame that it becomes: see `Frame`. Without `d`, a sentence for people in `detail`."""

    d: str
    taken: bool
    detail: str
    number: int


class EgressTally:
    """The counts of one box. tell: takes each report."""

    def __init__(self, tell: Callable[[EgressCount], None]) -> None:
        self._tell = tell
        self._counts: dict[tuple[str, bool], EgressCount] = {}
        self._untold: set[tuple[str, bool]] = set()
        self._full = False
        self._said = {""}

    def count(self, target: object, refused: str = "") -> None:
        """Count a request. refused: why it was refused, "" if it was not."""
        text = _shown(str(target))
        key = text, not refused
        if asked := self._counts.get(key):
            asked["number"] += 1
            self._untold.add(key)
        elif len(self._counts) < MOST:
            self._counts[key] = EgressCount(d=text, taken=not refused, detail=refused, number=1)
            self._tell(self._counts[key])
        elif not self._full:
            self._full = True
            self._tell(EgressCount(d="", taken=False, detail=f"more than {MOST} hosts were asked for; no others are listed", number=1))

    def say(self, text: str) -> None:
        """Tell a sentence, the first time that it is said."""
        if text not in self._said and len(self._said) <= _MOST_SENTENCES:
            self._said.add(text)
            self._tell(EgressCount(d="", taken=False, detail=text, number=1))

    def flush(self) -> None:
        """Tell the counts that have grown."""
        for key in self._untold:
            self._tell(self._counts[key])
        self._untold.clear()


def _shown(target: str) -> str:
    """Return what can be told of a target: a long name is cut, its port is not."""
    name, colon, port = target.rpartition(":")
    if not colon or len(port) > _LONGEST_PORT:
        name, colon, port = target, "", ""
    return "".join(char if "!" <= char <= "~" else "?" for char in name[:_LONGEST_NAME] + colon + port)
