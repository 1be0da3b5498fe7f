"""The one door through which everything that a box prints comes in: frames in, clean events out.

Nothing behind it sees raw bytes: every text was sanitised and masked here, and what is too much was cut.
"""

import json
from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from ccterm.agents.shapes import moment
from ccterm.agents.stream import StreamParser
from ccterm.box.protocol import Frame
from ccterm.events import TEXT_CAP, Event, Notice, Printed, Said, Steered, Typing, Waiting, cut
from ccterm.output.clean import Cleaner
from ccterm.output.decode import JSON_CAP, Line, LineBuffer, parse_object
from ccterm.output.deltas import Deltas
from ccterm.output.throttle import Batch, Emit, Later, StreamName, Throttle

_STREAMS: Mapping[int, StreamName] = {1: "stdout", 2: "stderr"}
LONG = TEXT_CAP - 100
"""Longest line that is printed whole, in characters."""


class Door:
    """Takes one step's frames in order. Never waits: what it emits is the receiver's to store.

    parser: reads stdout as an agent's stream; None: both streams are plain text. archive: takes the agent's cleaned lines, without
    line breaks and without pieces of half-typed text.
    """

    def __init__(
        self,
        cleaner: Cleaner,
        emit: Emit,
        *,
        later: Later,
        parser: StreamParser | None = None,
        archive: Callable[[str], None] | None = None,
    ) -> None:
        self.report: dict[str, JsonValue] | None = None
        """What the program reported, cleaned; None before it did."""
        self.ended = False
        """Whether the program's last frame came."""
        self._cleaner, self._emit, self._parser, self._archive = cleaner, emit, parser, archive
        self._joiners = {"stdout": LineBuffer(json_lines=parser is not None), "stderr": LineBuffer(json_lines=False)}
        self._deltas = Deltas(cleaner)
        self._batch, self._pace = Batch(self._printed, emit, later), Throttle(self._let_out, later)

    @property
    def secret_seen(self) -> bool:
        """Whether a registered secret was masked so far."""
        return self._cleaner.seen

    def frame(self, frame: Frame) -> None:
        """Take the next frame."""
        match frame["k"]:
            case "line":
                stream = _STREAMS.get(frame.get("s", 1), "stderr")
                line = self._joiners[stream].add(frame.get("d", ""), part=frame.get("part", False))
                if line is not None:
                    self._line(stream, line)
            case "note":
                self._say([self._note(frame)])
            case "report":
                report = self._cleaner.value(dict(frame.get("report", {})))
                self.report = report if isinstance(report, dict) else None
            case "end":
                self.ended = True
                self.close()

    def close(self) -> None:
        """Let out everything that is held: the step is over, whether it said so or not."""
        for stream in _STREAMS.values():
            line = self._joiners[stream].rest()
            if line is not None:
                self._line(stream, line)
        self._batch.flush()
        self._pace.close()

    def _line(self, stream: StreamName, line: Line) -> None:
        if stream == "stdout" and self._parser is not None:
            if line.more and not line.text:
                self._say([Notice(level="warn", text=f"A line of {line.more:,} characters was passed over; {JSON_CAP:,} can be read")])
                return
            value = parse_object(line.text)
            if value is not None:
                self._object(value, line.text, self._parser)
                return
            if not line.text.strip():
                return
        self._plain(stream, line)

    def _plain(self, stream: StreamName, line: Line) -> None:
        if len(line.text) > LONG or line.more:
            self._let_out([Printed(stream=stream, text=self._beginning(line))])
        else:
            self._batch.add(stream, line.text)

    def _printed(self, text: str) -> str:
        """Return raw lines cleaned: together, so that a secret of several lines is seen."""
        text = self._cleaner.text(text)
        if self._parser is not None:
            self._parser.overheard(text)
        return text

    def _beginning(self, line: Line) -> str:
        """Return the beginning of a long line, cleaned. What may be the first half of a secret is held back for ever."""
        head = self._cleaner.stream().feed(line.text[:LONG])
        return f"{head[:LONG]} [{max(len(line.text) - LONG, 0) + line.more:,} characters more]"

    def _object(self, value: dict[str, JsonValue], raw: str, parser: StreamParser) -> None:
        if value.get("type") == "stream_event":
            piece = self._deltas.clean(value)
            if piece is not None:
                self._say(parser.feed(piece))
            return
        cleaned = self._cleaner.value(value, raw)
        if not isinstance(cleaned, dict):
            return
        if self._archive is not None:
            self._archive(json.dumps(cleaned, ensure_ascii=False, separators=(",", ":")))
        self._say(parser.feed(cleaned))

    def _note(self, frame: Frame) -> Event:
        text = cut(self._cleaner.text(frame.get("d", "")))
        match frame.get("what", "text"):
            case "steered":
                return Steered(text=text, taken=frame.get("taken", False), detail=self._cleaner.text(frame.get("detail", "")))
            case "waiting":
                return Waiting(until=moment(frame.get("until")))
        return Notice(level="info", text=text)

    def _say(self, events: Sequence[Event]) -> None:
        """Let events out in order; half-typed text goes at its own pace."""
        others = [event for event in events if not isinstance(event, Typing)]
        if any(isinstance(event, Said) and not event.agent for event in others):
            self._pace.drop()
        if others:
            self._let_out(others)
        for event in events:
            if isinstance(event, Typing):
                self._pace.offer(event)

    def _let_out(self, events: Sequence[Event]) -> None:
        """Emit events behind the printed lines that came before them."""
        self._batch.flush()
        self._emit(events)
