"""The way of everything that a box prints into the record: frames in, clean events out.

Nothing downstream sees raw bytes: every text is sanitised and masked here, and over-long ones are cut.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

from pydantic import JsonValue

from ccterm.agents.json_values import moment
from ccterm.agents.stream import StreamParser
from ccterm.box.protocol import Frame
from ccterm.event_lines import KEY_LENGTH, TEXT_CAP, cut
from ccterm.events import Event, Notice, PermissionAnswered, Printed, Said, Steered, Typing, Waiting
from ccterm.output.clean import Cleaner
from ccterm.output.decode import JSON_CAP, LineBuffer, OutputLine, parse_object
from ccterm.output.deltas import DeltaCleaner
from ccterm.output.host_notes import HostNotes
from ccterm.output.throttle import Emit, Later, LineBatcher, StreamName, TypingThrottle
from ccterm.values import Answer

_STREAMS: Mapping[int, StreamName] = {1: "stdout", 2: "stderr"}
LONGEST_LINE = TEXT_CAP - 100
"""Longest line that is printed whole, in characters."""


class OutputPipeline:
    """Takes one step's frames in order. Never waits: storing what it emits is the receiver's business.

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
        """What the program reported, cleaned; None until it did."""
        self.ended = False
        """Whether the program's last frame has arrived."""
        self._cleaner, self._emit, self._parser, self._archive = cleaner, emit, parser, archive
        self._buffers = {"stdout": LineBuffer(json_lines=parser is not None), "stderr": LineBuffer(json_lines=False)}
        self._deltas = DeltaCleaner(cleaner)
        self._hosts = HostNotes(cleaner.text)
        self._batcher, self._throttle = LineBatcher(self._clean_lines, emit, later), TypingThrottle(self._emit_now, later)

    @property
    def secrets_seen(self) -> frozenset[str]:
        """The names of the registered secrets that were masked so far."""
        return self._cleaner.names

    def frame(self, frame: Frame) -> None:
        """Take the next frame."""
        match frame["k"]:
            case "line":
                stream = _STREAMS.get(frame.get("s", 1), "stderr")
                line = self._buffers[stream].add(frame.get("d", ""), part=frame.get("part", False))
                if line is not None:
                    self._line(stream, line)
            case "note" if frame.get("what") == "egress":
                self._emit_in_order(self._hosts.take(frame))
            case "note":
                self._emit_in_order([self._note(frame)])
            case "report":
                report = self._cleaner.value(dict(frame.get("report", {})))
                self.report = report if isinstance(report, dict) else None
            case "end":
                self.ended = True
                self.close()

    def close(self) -> None:
        """Emit everything that is held back: the step has ended, with or without an end frame."""
        for stream in _STREAMS.values():
            line = self._buffers[stream].rest()
            if line is not None:
                self._line(stream, line)
        self._emit_in_order(self._hosts.rest())
        self._batcher.flush()
        self._throttle.close()

    def _line(self, stream: StreamName, line: OutputLine) -> None:
        if stream == "stdout" and self._parser is not None:
            if line.dropped and not line.text:
                text = f"A line of {line.dropped:,} characters was skipped; at most {JSON_CAP:,} can be read"
                self._emit_in_order([Notice(level="warn", text=text)])
                return
            value = parse_object(line.text)
            if value is not None:
                self._object(value, line.text, self._parser)
                return
            if not line.text.strip():
                return
        self._plain(stream, line)

    def _plain(self, stream: StreamName, line: OutputLine) -> None:
        if len(line.text) > LONGEST_LINE or line.dropped:
            self._emit_now([Printed(stream=stream, text=self._beginning(line))])
        else:
            self._batcher.add(stream, line.text)

    def _clean_lines(self, text: str) -> str:
        """Return raw lines cleaned: together, so that a secret of several lines is recognised."""
        text = self._cleaner.text(text)
        if self._parser is not None:
            self._parser.remember_tail(text)
        return text

    def _beginning(self, line: OutputLine) -> str:
        """Return the beginning of a long line, cleaned. What may be the first half of a secret is never released."""
        head = self._cleaner.stream().feed(line.text[:LONGEST_LINE])
        return f"{head[:LONGEST_LINE]} [{max(len(line.text) - LONGEST_LINE, 0) + line.dropped:,} more characters]"

    def _object(self, value: dict[str, JsonValue], raw: str, parser: StreamParser) -> None:
        if value.get("type") == "stream_event":
            piece = self._deltas.clean(value)
            if piece is not None:
                self._emit_in_order(parser.feed(piece))
            return
        cleaned = self._cleaner.value(value, raw)
        if not isinstance(cleaned, dict):
            return
        if self._archive is not None:
            self._archive(json.dumps(cleaned, ensure_ascii=False, separators=(",", ":")))
        self._emit_in_order(parser.feed(cleaned))

    def _note(self, frame: Frame) -> Event:
        text = cut(self._cleaner.text(frame.get("d", "")), where="")
        match frame.get("what", "text"):
            case "steered":
                return Steered(
                    text=text,
                    taken=frame.get("taken", False),
                    detail=self._cleaner.text(frame.get("detail", "")),
                    message=self._named(frame, KEY_LENGTH),
                )
            case "waiting":
                return Waiting(until=moment(frame.get("until")))
            case "answered":
                return PermissionAnswered(id=self._named(frame, 200), answer=_answer(frame.get("answer")), text=text)
        return Notice(level="info", text=text)

    def _named(self, frame: Frame, longest: int) -> str:
        """Return which request a note is about; a box may say anything."""
        return self._cleaner.text(str(frame.get("request", "")))[:longest]

    def _emit_in_order(self, events: Sequence[Event]) -> None:
        """Emit events in order; half-typed text goes at its own pace."""
        others = [event for event in events if not isinstance(event, Typing)]
        if any(isinstance(event, Said) and not event.agent for event in others):
            self._throttle.drop()
        if others:
            self._emit_now(others)
        for event in events:
            if isinstance(event, Typing):
                self._throttle.offer(event)

    def _emit_now(self, events: Sequence[Event]) -> None:
        """Emit events after the printed lines that came before them."""
        self._batcher.flush()
        self._emit(events)


def _answer(said: object) -> Answer:
    """Return what became of a request for permission; a box may say anything."""
    return next((answer for answer in get_args(Answer) if answer == said), "withdrawn")
