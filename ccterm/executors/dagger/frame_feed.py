"""From an exec's output, which comes twice, to its frames, each once: live as far as the log stream brings them, the rest from its stdout."""

import asyncio

from ccterm.box.protocol import Frame
from ccterm.executors.base import FrameSink, StepResult
from ccterm.executors.dagger.records import LogRecord
from ccterm.executors.frames import FrameError, FrameReader

_FIRST = '{"n":0,'
_TAIL = 4096


class FrameFeed:
    """The frames of one exec. sink: takes each in order; what it raises ends the step. beside: whether services run beside it,
    whose output becomes notes.

    The log stream may drop, repeat or regroup records. Frames are numbered, so a gap is seen: then nothing more is taken from it, and
    `complete` brings what is missing.
    """

    def __init__(self, sink: FrameSink, *, beside: bool = False) -> None:
        self._sink, self._beside = sink, beside
        self._reader = FrameReader()
        self._number = 0
        self._broken = False
        self._span = ""
        self.report: Frame | None = None
        self.last_words = ""
        """The end of what it printed on stderr: for people, when it broke."""
        self.began = asyncio.Event()
        """Set when the live stream brought anything of it."""
        self.over = asyncio.Event()
        """Set when nothing more will come live."""
        self.failed: asyncio.Future[StepResult] = asyncio.get_running_loop().create_future()
        """Gets what the sink raised."""

    @property
    def ended(self) -> bool:
        """Whether the program's last frame was delivered."""
        return self._reader.ended

    def record(self, record: LogRecord) -> None:
        """Take one record of the live stream."""
        if not self._span and record.stream == 1 and record.text.startswith(_FIRST):
            self._span = record.span
            self.began.set()
        if record.span != self._span:
            self._other(record)
        elif record.stream == 2:
            self.last_words = (self.last_words + record.text)[-_TAIL:]
        elif not self._broken:
            self._live(record)

    def _other(self, record: LogRecord) -> None:
        """Take what comes from another exec of the same query, or from ours before its first frame."""
        if not self._span:
            self.last_words = (self.last_words + record.text)[-_TAIL:]
        if self._beside:
            for line in filter(str.strip, record.text.splitlines()):
                self._deliver(Frame(n=-1, t=0.0, k="note", d=f"service: {line}"))

    def _live(self, record: LogRecord) -> None:
        try:
            self._take(record.text, self._reader, after=self._number)
        except FrameError:
            self._broken = True
        if record.eof or self.ended:
            self.over.set()

    def restart(self) -> None:
        """Say that the stream begins anew from its first record: what was delivered already is passed over."""
        self._reader, self._broken, self._span = FrameReader(), False, ""

    def complete(self, stdout: str) -> None:
        """Deliver what the live stream did not bring. Raises FrameError when even the whole output is broken."""
        if self.ended:
            return
        reader = FrameReader()
        self._take(stdout, reader, after=self._number)
        reader.close()
        self._reader = reader

    def _take(self, text: str, reader: FrameReader, *, after: int) -> None:
        for frame in reader.feed(text.encode("utf-8", "replace")):
            if frame["n"] >= after:
                self._number = frame["n"] + 1
                self._deliver(frame)

    def _deliver(self, frame: Frame) -> None:
        if self.failed.done():
            return
        if frame["k"] == "report":
            self.report = frame
        try:
            self._sink(frame)
        except Exception as error:  # noqa: BLE001 - it goes to whoever waits for the step, not into the stream that serves all runs
            self.failed.set_exception(error)
