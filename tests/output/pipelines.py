"""What the tests of the output pipeline share: a clock moved by hand, and a pipeline whose events are recorded."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from ccterm.agents.stream import StreamParser
from ccterm.box.protocol import Frame
from ccterm.events import Event, Notice, Printed, Said, Typing
from ccterm.output.clean import Cleaner
from ccterm.output.mask import Masker
from ccterm.output.pipeline import OutputPipeline

SECRET = "tok-7Q2mWx9Zr4Lk"


@dataclass
class Call:
    """A scheduled call."""

    at: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Cancel it."""
        self.cancelled = True


@dataclass
class HandClock:
    """A clock that stands still until it is moved."""

    now: float = 0.0
    calls: list[Call] = field(default_factory=list)

    def later(self, seconds: float, callback: Callable[[], None]) -> Call:
        """Remember a call."""
        self.calls.append(Call(self.now + seconds, callback))
        return self.calls[-1]

    def move(self, seconds: float) -> None:
        """Let time pass and make the calls that fall due."""
        end = self.now + seconds
        while due := [call for call in self.calls if call.at <= end + 1e-9 and not call.cancelled]:
            first = min(due, key=lambda call: call.at)
            self.calls.remove(first)
            self.now = first.at
            first.callback()
        self.now = end


class Watched:
    """An output pipeline with a clock, a parser and a record of everything it emits."""

    def __init__(self, *secrets: str, agent: bool = True) -> None:
        self.clock = HandClock()
        self.events: list[Event] = []
        self.emits: list[int] = []
        self.archived: list[str] = []
        self.parser = StreamParser() if agent else None
        self.cleaner = Cleaner(Masker({f"secret {number}": secret for number, secret in enumerate(secrets)}))
        self.pipeline = OutputPipeline(
            self.cleaner, self._emit, later=self.clock.later, parser=self.parser, archive=self.archived.append if agent else None
        )
        self._next = 0

    def _emit(self, events: Sequence[Event]) -> None:
        self.events.extend(events)
        self.emits.append(len(events))

    def frame(self, kind: Literal["line", "note", "report", "end"], **fields: object) -> None:
        """Feed the next frame."""
        frame: Frame = json.loads(json.dumps({"n": self._next, "t": 0.0, "k": kind, **fields}))
        self._feed(frame)

    def line(self, text: str, stream: Literal[1, 2] = 1) -> None:
        """Feed a whole line."""
        self._feed({"n": self._next, "t": 0.0, "k": "line", "s": stream, "d": text})

    def _feed(self, frame: Frame) -> None:
        self._next += 1
        self.pipeline.frame(frame)

    def objects(self, objects: Iterable[dict[str, JsonValue]]) -> None:
        """Feed lines of the agent's stream."""
        for each in objects:
            self.line(json.dumps(each))

    @property
    def stored(self) -> str:
        """Everything the pipeline emitted or archived, as one text."""
        return "\n".join([*(event.model_dump_json() for event in self.events), *self.archived])


def delta(text: str, index: int = 0) -> dict[str, JsonValue]:
    """Return a line with a piece of typed text."""
    return {"type": "stream_event", "event": {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}}


def said(text: str) -> dict[str, JsonValue]:
    """Return a line with a whole text block."""
    return {"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}}


def kinds(events: list[Event]) -> list[str]:
    """Return the kinds of events."""
    return [event.kind for event in events]


def texts(events: list[Event], kind: type[Said] | type[Typing] | type[Notice] | type[Printed]) -> list[str]:
    """Return the texts of the events of one kind."""
    return [event.text for event in events if isinstance(event, kind)]
