"""The ends of pipes that the loop serves: frames to the host, the child's stdin, the child's two output streams."""

import codecs
import contextlib
import os
import select
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING

from ccterm.box.frames import PART, Frames
from ccterm.box.process.loop import Want, turn

if TYPE_CHECKING:
    from ccterm.box.protocol import Stream

CHUNK = 64 * 1024
BACKLOG = 1024 * 1024
"""Bytes of frames that may wait for the host before nothing more is read from the child."""


class QueuedFrames(Frames):
    """Frames that never block on the host: they are queued, and the loop writes them as the host reads."""

    def __init__(self) -> None:
        super().__init__()
        self._queue = bytearray()
        self.gone = False
        """Whether nobody reads them any more."""

    @property
    def full(self) -> bool:
        """Whether too much is queued."""
        return len(self._queue) > BACKLOG

    @property
    def waiting(self) -> int:
        """How many bytes are queued."""
        return len(self._queue)

    def _write(self, data: bytes) -> None:
        self._queue += data

    def wants(self) -> Iterator[Want]:
        """Wait until the host can take more."""
        if self._queue:
            yield self._fd, select.POLLOUT, self._push

    def _push(self) -> None:
        os.set_blocking(self._fd, False)
        try:
            self._put()
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.gone = True
            self._queue.clear()
        finally:
            os.set_blocking(self._fd, True)  # others may hold the same pipe

    def _put(self) -> None:
        with memoryview(self._queue) as view:
            written = os.write(self._fd, view[:CHUNK])
        del self._queue[:written]

    def finish(self) -> None:
        """Write everything that is queued, however long the host takes."""
        with contextlib.suppress(BrokenPipeError):
            while self._queue:
                self._put()


class Inlet:
    """The child's stdin: accepts any amount at once, writes as the child reads, closes when everything is written."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._queue = bytearray()
        self.open = True
        """Whether more may be written; what is queued is still delivered after `close`."""
        os.set_blocking(pipe.fileno(), False)

    def write(self, data: bytes) -> None:
        """Queue data for the child; dropped after `close`."""
        if self.open:
            self._queue += data

    def close(self) -> None:
        """Close the pipe as soon as everything is written."""
        self.open = False
        if not self._queue:
            self._pipe.close()

    def wants(self) -> Iterator[Want]:
        """Wait until the child can take more."""
        if self._queue:
            yield self._pipe.fileno(), select.POLLOUT, self._push

    def _push(self) -> None:
        try:
            with memoryview(self._queue) as view:
                written = os.write(self._pipe.fileno(), view[:CHUNK])
            del self._queue[:written]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.open = False
            self._queue.clear()
        if not self.open and not self._queue:
            self._pipe.close()


class Outlet:
    """One output stream of the child; every line goes to the host as a frame, and to `on_line`."""

    def __init__(self, pipe: IO[bytes], stream: "Stream", frames: QueuedFrames, on_line: Callable[[str, bool], None]) -> None:
        self._pipe, self._stream, self._frames, self._on_line = pipe, stream, frames, on_line
        self._splitter = Splitter()

    @property
    def open(self) -> bool:
        """Whether more may come."""
        return not self._pipe.closed

    @property
    def held_up(self) -> bool:
        """Whether the child has to wait because the host is slow."""
        return self._frames.full

    def wants(self) -> Iterator[Want]:
        """Wait for output, unless the host is slow."""
        if self.open and not self.held_up:
            yield self._pipe.fileno(), select.POLLIN, self._pull

    def _pull(self) -> None:
        data = os.read(self._pipe.fileno(), CHUNK)
        for text, part in self._splitter.feed(data) if data else self._splitter.close():
            self._frames.line(self._stream, text, part=part)
            self._on_line(text, part)
        if not data:
            self._pipe.close()


def drain(frames: QueuedFrames, outlets: Sequence[Outlet], seconds: float) -> None:
    """Read on until all outlets have ended, for at most `seconds`, not counting the time that a slow host takes."""
    left = seconds
    while left > 0 and any(outlet.open for outlet in outlets):
        begin, slow = time.monotonic(), frames.full
        turn([frames, *outlets], min(left, 0.5))
        left -= 0 if slow else time.monotonic() - begin


class Splitter:
    """Splits chunks into lines. An over-long line comes in parts, all but the last marked as such."""

    def __init__(self, part: int = PART) -> None:
        self._part = part
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text: list[str] = []
        self._length = 0

    def feed(self, data: bytes) -> Iterator[tuple[str, bool]]:
        """Yield (text, part) for each line, or part of a line, that is now complete."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            yield from self._take(line, final=True)
            yield self._give(), False
        yield from self._take(rest, final=False)

    def close(self) -> Iterator[tuple[str, bool]]:
        """Yield the last line of a stream that does not end in a line break."""
        yield from self._take(b"", final=True)
        if self._length:
            yield self._give(), False

    def _take(self, data: bytes, *, final: bool) -> Iterator[tuple[str, bool]]:
        text = self._decoder.decode(data, final)
        self._text.append(text)
        self._length += len(text)
        while self._length > self._part:
            text = self._give()
            yield text[: self._part], True
            self._text, self._length = [text[self._part :]], len(text) - self._part

    def _give(self) -> str:
        text = self._text[0] if len(self._text) == 1 else "".join(self._text)
        self._text, self._length = [], 0
        return text
