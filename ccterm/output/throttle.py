"""Limits how fast events are emitted: printed lines in batches, half-typed text at most ten times a second."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from ccterm.event_lines import TEXT_CAP
from ccterm.events import Event, Printed, Typing

BATCH_SECONDS = 0.05
TYPING_SECONDS = 0.1


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel it."""
        ...


StreamName = Literal["stdout", "stderr"]
Later = Callable[[float, Callable[[], None]], Timer]
"""Calls back after that many seconds, as `loop.call_later` does."""
Emit = Callable[[Sequence[Event]], None]


class LineBatcher:
    """Collects printed lines, then cleans and emits them together: at most 50 ms after the first, at most 64 KiB at once."""

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
        """Emit the lines collected so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._due()

    def _due(self) -> None:
        self._timer = None
        lines, self._lines, self._size = self._lines, [], 0
        if lines:
            self._emit([Printed(stream=stream, text=self._clean("\n".join(texts))) for stream, texts in lines])


class TypingThrottle:
    """Emits the newest half-typed text at a limited rate and drops those it supersedes."""

    def __init__(self, emit: Emit, later: Later) -> None:
        self._emit, self._later = emit, later
        self._pending: Typing | None = None
        self._timer: Timer | None = None

    def offer(self, typing: Typing) -> None:
        """Emit it now, or once the last one is 100 ms old."""
        self._pending = typing
        if self._timer is None:
            self._due()

    def drop(self) -> None:
        """Forget what is pending: the whole text has arrived."""
        self._pending = None

    def close(self) -> None:
        """Emit what is pending and stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pending is not None:
            self._emit([self._pending])
            self._pending = None

    def _due(self) -> None:
        self._timer = None
        if self._pending is not None:
            typing, self._pending = self._pending, None
            self._timer = self._later(TYPING_SECONDS, self._due)
            self._emit([typing])
