"""Runs one program, which is git, within bounds on time, memory and output: what it works on, others wrote.

Both ends of its pipes are served at once, so that neither waits for the other, and what is read is counted as it comes.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, NamedTuple

from ccterm.git.memory import limit_memory

LONGEST = 3600.0
"""Seconds that a program may take where nothing shorter is said; a step ends sooner."""
MOST_OUTPUT = 512 << 20
"""Bytes of output that are held in memory."""
_ERRORS = 1 << 20
_BLOCK = 256 << 10


class ChildStopped(Exception):
    """A program passed one of its bounds and was killed. bound: "time" or "output". seconds: how long it might have taken."""

    def __init__(self, bound: str, detail: str, seconds: float) -> None:
        super().__init__(detail)
        self.bound, self.detail, self.seconds = bound, detail, seconds


class ChildResult(NamedTuple):
    """How a program ended. errors: the beginning of its stderr."""

    code: int
    output: bytes
    errors: bytes


class BoundedChild:
    """One run of a program: `with BoundedChild(…) as child: child.result()`. Leaving kills it if it still runs.

    to: where its output goes instead of to us. Raises FileNotFoundError when there is no such program.
    """

    def __init__(
        self,
        argv: Sequence[str | bytes],
        env: Mapping[str, str],
        *,
        stdin: bytes = b"",
        seconds: float | None = None,
        output: int = MOST_OUTPUT,
        to: IO[bytes] | None = None,
    ) -> None:
        self._seconds, self._most = seconds or LONGEST, output
        self._deadline = time.monotonic() + self._seconds
        pipe = subprocess.PIPE
        given = pipe if stdin else subprocess.DEVNULL
        self._process = subprocess.Popen(argv, env=env, stdin=given, stdout=to or pipe, stderr=pipe, bufsize=0, start_new_session=True)
        limit_memory(self._process.pid)
        self._left = memoryview(stdin)
        self._poller = select.poll()
        self._open: dict[int, IO[bytes]] = {}
        self._errors = bytearray()
        for stream, event in (
            (self._process.stdin, select.POLLOUT),
            (self._process.stdout, select.POLLIN),
            (self._process.stderr, select.POLLIN),
        ):
            if stream:
                os.set_blocking(stream.fileno(), False)
                self._open[stream.fileno()] = stream
                self._poller.register(stream, event)

    def __enter__(self) -> "BoundedChild":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):  # macOS raises the latter for a group that is dead already
                os.killpg(self._process.pid, signal.SIGKILL)  # with the helpers that it started
            self._process.wait()
        for stream in list(self._open.values()):
            self._close(stream)

    def result(self) -> ChildResult:
        """Serve it to its end. Raises ChildStopped."""
        output, held = list[bytes](), 0
        for block in self.blocks():
            output.append(block)
            if (held := held + len(block)) > self._most:
                raise self._flooded()
        return ChildResult(self.code, b"".join(output), bytes(self._errors))

    @property
    def code(self) -> int:
        """Return its exit code; negative = the signal that ended it. Raises ChildStopped when it does not end."""
        try:
            return self._process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._late() from None

    def blocks(self) -> Iterator[bytes]:
        """Yield its output as it comes. Raises ChildStopped."""
        out, err = self._process.stdout, self._process.stderr
        while self._open:
            left = self._deadline - time.monotonic()
            if left <= 0 or not (ready := self._poller.poll(left * 1000)):
                raise self._late()
            for number, _ in ready:
                stream = self._open[number]
                if stream is self._process.stdin:
                    self._feed(stream)
                elif (block := self._read(stream)) == b"":
                    self._close(stream)
                elif block is None:
                    continue
                elif stream is err:
                    self._errors += block[: _ERRORS - len(self._errors)]
                elif stream is out:
                    yield block

    def lines(self) -> Iterator[bytes]:
        """Yield its output line by line, each with its line break. Raises ChildStopped, also for a line that is longer than its output may be."""
        rest = list[bytes]()
        for block in self.blocks():
            first, found, more = block.partition(b"\n")
            if not found:
                rest.append(block)
                if sum(map(len, rest)) > self._most:
                    raise self._flooded()
                continue
            yield b"".join([*rest, first, found])
            *whole, last = more.split(b"\n")
            yield from (line + b"\n" for line in whole)
            rest = [last] if last else []
        if rest:
            yield b"".join(rest)

    def _late(self) -> ChildStopped:
        return ChildStopped("time", f"it did not end within {self._seconds:g} s", self._seconds)

    def _flooded(self) -> ChildStopped:
        return ChildStopped("output", f"it printed more than {self._most >> 20:,} MiB", self._seconds)

    def _read(self, stream: IO[bytes]) -> bytes | None:
        with suppress(BlockingIOError):
            return os.read(stream.fileno(), _BLOCK)
        return None

    def _feed(self, stream: IO[bytes]) -> None:
        try:
            self._left = self._left[os.write(stream.fileno(), self._left[:_BLOCK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it wants no more; its exit code says why
            self._left = self._left[:0]
        if not self._left:
            self._close(stream)

    def _close(self, stream: IO[bytes]) -> None:
        self._poller.unregister(stream)
        del self._open[stream.fileno()]
        stream.close()
