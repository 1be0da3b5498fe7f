"""What a box tells of the hosts that its programs ask for, as events: few, however often they ask, and whatever the box says."""

from collections.abc import Callable
from dataclasses import dataclass

from ccterm.box.protocol import Frame
from ccterm.events import HostAsked, Notice

MOST_HOSTS = 1_000
"""How many hosts of one step are told of, those that were let through and those that were refused."""
_LONGEST_NAME, _LONGEST_WHY = 253, 200
_HIGHEST = 10**9


@dataclass
class _Known:
    host: str
    port: int
    why: str
    count: int = 0
    told: int = 0


class HostNotes:
    """Takes the notes of one step. clean: sanitises and masks, since a program may ask for a host that is named after a secret.

    A host is told of when it is new, and then each time that it was asked for twice as often as before.
    """

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean
        self._known: dict[tuple[str, bool], _Known] = {}

    def take(self, frame: Frame) -> list[HostAsked | Notice]:
        """Return what a note tells, if it is time for that. One without a host is a sentence, such as that there were too many."""
        asked, allowed = str(frame.get("d", "")), frame.get("taken") is True
        if not asked:
            return [Notice(level="warn", text=self._reason(frame))] if "detail" in frame else []
        known = self._known.get((asked, allowed)) or self._new(asked, allowed, "" if allowed else self._reason(frame))
        if known is None:
            return []
        number: object = frame.get("number")
        known.count = max(known.count + 1, min(number, _HIGHEST) if isinstance(number, int) else 0)
        return [self._tell(known, allowed)] if known.count >= 2 * known.told else []

    def rest(self) -> list[HostAsked]:
        """Return what was not told yet: the step has ended."""
        return [self._tell(known, allowed) for (_, allowed), known in self._known.items() if known.count > known.told]

    def _new(self, asked: str, allowed: bool, why: str) -> _Known | None:
        host, _, port = self._clean(asked).rpartition(":")
        if len(self._known) >= MOST_HOSTS or not host or len(asked) > _LONGEST_NAME + 6 or not port.isascii() or not port.isdecimal():
            return None
        known = self._known[asked, allowed] = _Known(
            "".join(host.split()), min(int(port), 65535), _without(why, f"{host}:{port}", host, "is")
        )
        return known

    def _reason(self, frame: Frame) -> str:
        return " ".join(self._clean(str(frame.get("detail", ""))).split())[:_LONGEST_WHY]

    def _tell(self, known: _Known, allowed: bool) -> HostAsked:
        more, known.told = known.count - known.told, known.count
        return HostAsked(host=known.host, port=known.port, allowed=allowed, count=known.count, more=more, why=known.why)


def _without(text: str, *words: str) -> str:
    """Return a text without the words that it may begin with: it is shown beside the host."""
    for word in words:
        text = text.removeprefix(f"{word} ")
    return text
