"""Turns an exec's output, which arrives twice, into its frames, each delivered once: live from the log stream, the rest from stdout."""

import asyncio

from ccterm.box.protocol import Frame
from ccterm.executors.base import FrameSink, StepResult
from ccterm.executors.dagger.records import LogRecord
from ccterm.executors.frames import FrameError, FrameReader

_FIRST = '{"n":0,'
_TAIL = 4096
_SHOWN = 500


class FrameFeed:
    """The frames of one exec.

    sink: takes each frame in order; an exception from it ends the step. services: whether service containers run beside the exec;
    their output becomes notes. may_repeat: whether the engine may answer with the output of an earlier run of the same program.

    The log stream may drop, repeat or regroup records. Frames are numbered, so a gap is noticed; from then on the stream is ignored,
    and `complete` delivers the rest.
    """

    def __init__(self, sink: FrameSink, *, services: bool = False, may_repeat: bool = False) -> None:
        self._sink, self._services, self._may_repeat = sink, services, may_repeat
        self._asked: list[Frame] = []
        """What was told of hosts by a program that may have run earlier."""
        self._reader = FrameReader()
        self._number = 0
        self._broken = False
        self._span = ""
        self.length = 0
        """How many characters came over the live stream."""
        self.report: Frame | None = None
        self._stderr = ""
        self.began = asyncio.Event()
        """Set once the live stream delivered anything."""
        self.over = asyncio.Event()
        """Set once the live stream has nothing more to deliver."""
        self.failed: asyncio.Future[StepResult] = asyncio.get_running_loop().create_future()
        """Gets the exception that the sink raised."""

    @property
    def ended(self) -> bool:
        """Whether the program's last frame was delivered."""
        return self._reader.ended

    @property
    def lasted(self) -> float:
        """How long the program ran until its report, in seconds."""
        return self.report["t"] if self.report else 0.0

    @property
    def last_output(self) -> str:
        """The end of its stderr, to show to the user when it failed."""
        return self._stderr.strip()[-_SHOWN:]

    def record(self, record: LogRecord) -> None:
        """Take one record of the live stream."""
        if not self._span and record.stream == 1 and record.text.startswith(_FIRST):
            self._span = record.span
            self.began.set()
        if record.span != self._span:
            self._foreign(record)
        elif record.stream == 2:
            self._stderr = (self._stderr + record.text)[-_TAIL:]
        elif not self._broken:
            self._live(record)

    def _foreign(self, record: LogRecord) -> None:
        """Take output of another exec of the same query, or of this one before its first frame."""
        if not self._span:
            self._stderr = (self._stderr + record.text)[-_TAIL:]
        if self._services:
            for line in filter(str.strip, record.text.splitlines()):
                self._deliver(Frame(n=-1, t=0.0, k="note", d=f"service: {line}"))

    def _live(self, record: LogRecord) -> None:
        self.length += len(record.text)
        try:
            self._take(record.text, self._reader, after=self._number)
        except FrameError:
            self._broken = True
        if record.eof or self.ended:
            self.over.set()

    def restart(self) -> None:
        """Expect the stream to start again from its first record; frames that were delivered are skipped."""
        self._reader, self._broken, self._span = FrameReader(), False, ""

    def complete(self, stdout: str) -> None:
        """Deliver what the live stream did not. Raises FrameError when the whole output is broken, too."""
        if self.ended:
            return
        reader = FrameReader()
        self._take(stdout, reader, after=self._number)
        reader.close()
        self._reader = reader

    def deliver_asked(self) -> None:
        """Deliver what was told of hosts, too: the program did run now."""
        for frame in self._asked:
            self._deliver(frame)
        self._asked.clear()

    def _take(self, text: str, reader: FrameReader, *, after: int) -> None:
        for frame in reader.feed(text.encode("utf-8", "replace")):
            if frame["n"] >= after:
                self._number = frame["n"] + 1
                if self._may_repeat and not self.began.is_set() and frame["k"] == "note" and frame.get("what") == "egress":
                    self._asked.append(frame)
                else:
                    self._deliver(frame)

    def _deliver(self, frame: Frame) -> None:
        if self.failed.done():
            return
        if frame["k"] == "report":
            self.report = frame
        try:
            self._sink(frame)
        except Exception as error:  # noqa: BLE001 - it ends the step, not the stream that serves all runs
            self.failed.set_exception(error)
