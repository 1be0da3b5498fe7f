"""The transcripts of a conversation as one: those of the runs that were continued, each followed by a line that tells how it ended."""

from collections.abc import Sequence
from pathlib import Path

from ccterm.events import Notice, to_line
from ccterm.models import Run
from ccterm.tui.pane.source import ByteStore, FileStore, LineSource, MemoryStore

EARLIER_RUNS = 16
"""How many runs are shown above the one that continues them."""


class ThreadStore:
    """Byte stores one behind the other, of which only the last one grows: what is before it has ended.

    It costs one open file for each of them, and nothing for its lines.
    """

    def __init__(self, earlier: Sequence[ByteStore], last: ByteStore) -> None:
        self._earlier = earlier
        self._last = last
        self._ends: list[int] = []
        """Where each of the earlier ones ends; looked up once, at their last whole line."""

    def size(self) -> int:
        """Return how many bytes there are in all."""
        if len(self._ends) < len(self._earlier):
            self._ends = []
            for store in self._earlier:
                source = LineSource(store)
                source.poll()
                self._ends.append(self._begin_of_last + source.end)
        return self._begin_of_last + self._last.size()

    @property
    def _begin_of_last(self) -> int:
        return self._ends[-1] if self._ends else 0

    def read(self, count: int, offset: int) -> bytes:
        """Return up to `count` bytes from an offset on, across the ends of stores."""
        found, begin = b"", 0
        for store, end in zip(self._earlier, self._ends, strict=False):
            if offset < end and count > 0:
                store.size()  # a file that was closed is opened again
                piece = store.read(min(count, end - offset), offset - begin)
                found, offset, count = found + piece, offset + len(piece), count - len(piece)
            begin = end
        return found + self._last.read(count, offset - begin) if count > 0 and offset >= begin else found

    def close(self) -> None:
        """Close all."""
        for store in (*self._earlier, self._last):
            store.close()


def thread(earlier: Sequence[tuple[Run, Path]], last: Path) -> ByteStore:
    """Return the transcript at `last` behind those of the runs that were continued, the oldest first; of many, the newest."""
    if not earlier:
        return FileStore(last)
    stores = [store for run, path in earlier[-EARLIER_RUNS:] for store in (FileStore(path), MemoryStore(_end_of(run)))]
    return ThreadStore(stores, FileStore(last))


def _end_of(run: Run) -> bytes:
    """Return the line between a run and the one that continues it."""
    return to_line(
        Notice(level="info", text=f"── {run.label} {run.state} · continued ──").stamped(seq=0, at=run.finished or run.created, run=run.id)
    )
