"""Writes what the panes show: transcripts at a rate of lines, a long one, or plain lines for tmux."""

import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ccterm.events import Event, Printed, Said, ToolCalled, ToolReturned, to_line
from ccterm.models import RunId, now

BATCH = 0.05
"""Seconds between two writes of a transcript, as `Transcript` does it."""
SECONDS = 60.0
"""After this it ends by itself."""
TEXT = "step finished: copying blob sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b to the store"


def text_line(number: int) -> str:
    """Return one line of a program's output."""
    return f"{number:08d} {('INFO', 'WARN', 'DEBUG', 'ERROR')[number % 4]} {TEXT}"


class Author:
    """Writes the transcript of one run: mostly output, with a message and a tool call now and then."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._run = RunId(path.stem)
        self._seq = 0
        self._lines = 0

    def write(self, count: int) -> None:
        """Append `count` lines in one batch."""
        events: list[Event] = [Printed(stream="stdout", text="\n".join(text_line(self._lines + n) for n in range(count)))]
        if (self._lines // 500) != (self._lines + count) // 500:
            call = f"toolu_{self._lines}"
            events += [
                Said(text=f"I looked at line {self._lines}. The refresh path still trusts the old cookie, so I will fix that first."),
                ToolCalled(id=call, name="Bash", summary="pytest tests/auth -q", input={"command": "pytest tests/auth -q"}),
                ToolReturned(id=call, ok=self._lines % 3 > 0, text="12 passed, 1 failed\nE  AssertionError: expected 401, got 200\n" * 9),
            ]
        self._lines += count
        self._file.write(b"".join(map(self._line, events)))

    def _line(self, event: Event) -> bytes:
        self._seq += 1
        return to_line(event.stamped(seq=self._seq, at=now(), run=self._run))


def write_long(path: Path) -> None:
    """Write a transcript of 1 M lines."""
    author = Author(path)
    for _ in range(4000):
        author.write(250)


def write_events(place: Path, panes: int, rate: float) -> None:
    """Append `rate` lines a second to each of so many transcripts."""
    authors = [Author(place / f"{n}.ndjson") for n in range(panes)]
    for due in _paced(rate, len(authors)):
        for author, count in zip(authors, due, strict=True):
            if count:
                author.write(count)


def print_lines(rate: float) -> None:
    """Print `rate` lines a second, for tmux."""
    sent = 0
    for (count,) in _paced(rate, 1):
        if count:
            os.write(1, b"".join(text_line(sent + n).encode() + b"\n" for n in range(count)))
            sent += count


def _paced(rate: float, many: int) -> Iterator[list[int]]:
    """Yield, every 50 ms, how many lines are due for each of `many` writers; rare lines come at different times."""
    start, sent = time.monotonic(), [0.0 if rate > 20 else -random.random() for _ in range(many)]
    done = [0] * many
    while (passed := time.monotonic() - start) < SECONDS:
        due = [max(0, int(passed * rate + shift) - before) for shift, before in zip(sent, done, strict=True)]
        done = [before + count for before, count in zip(done, due, strict=True)]
        yield due
        time.sleep(BATCH)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["long", path]:
            write_long(Path(path))
        case ["write", place, panes, rate]:
            write_events(Path(place), int(panes), float(rate))
        case ["print", rate]:
            print_lines(float(rate))
