"""How fast events go out: lines in batches, half-typed text at most ten times a second."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from ccterm.events import TEXT_CAP, Event, Printed, Typing

BATCH_SECONDS = 0.05
TYPING_SECONDS = 0.1


class Timer(Protocol):
    """A call that is due."""

    def cancel(self) -> None:
        """Take it back."""
        ...


StreamName = Literal["stdout", "stderr"]
Later = Callable[[float, Callable[[], None]], Timer]
"""Calls back after so many seconds, as `loop.call_later` does."""
Emit = Callable[[Sequence[Event]], None]


class Batch:
    """Collects printed lines, and cleans and lets them out together: no later than 50 ms after the first, no more than 64 KiB at once."""

    def __init__(self, clean: Callable[[str], str], emit: Emit, later: Later) -> None:
        self._clean, self._emit, self._later = clean, emit, later
        self._lines: list[tuple[StreamName, list[str]]] = []
        self._size = 0
        self._timer: Timer | None = None

    def add(self, stream: StreamName, text: str) -> None:
        """Take one raw line of at most TEXT_CAP characters."""
        if self._size + len(text) + 1 > TEXT_CAP:
            self.flush()
        if not self._lines or self._lines[-1][0] != stream:
            self._lines.append((stream, []))
        self._lines[-1][1].append(text)
        self._size += len(text) + 1
        if self._timer is None:
            self._timer = self._later(BATCH_SECONDS, self._due)

    def flush(self) -> None:
        """Let out what there is."""
        if self._timer is not None:
            self._timer.cancel()
            self._due()

    def _due(self) -> None:
        self._timer = None
        lines, self._lines, self._size = self._lines, [], 0
        if lines:
            self._emit([Printed(stream=stream, text=self._clean("\n".join(texts))) for stream, texts in lines])


class Throttle:
    """Lets the newest half-typed text through, and forgets those it supersedes."""

    def __init__(self, emit: Emit, later: Later) -> None:
        self._emit, self._later = emit, later
        self._waiting: Typing | None = None
        self._timer: Timer | None = None

    def offer(self, typing: Typing) -> None:
        """Let it out now, or when the last one is 100 ms old."""
        self._waiting = typing
        if self._timer is None:
            self._due()

    def drop(self) -> None:
        """Forget what waits: the whole text is there."""
        self._waiting = None

    def close(self) -> None:
        """Let out what waits, and stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting is not None:
            self._emit([self._waiting])
            self._waiting = None

    def _due(self) -> None:
        self._timer = None
        if self._waiting is not None:
            typing, self._waiting = self._waiting, None
            self._timer = self._later(TYPING_SECONDS, self._due)
            self._emit([typing])
