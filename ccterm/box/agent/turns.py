"""What is written to an agent's stdin and when it is closed: prompt, messages of the user, the end of a turn, waiting for input."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ccterm.box import fresh_uuid
from ccterm.git.bounded_json import read_json

LATE = "the agent had already finished; `ccterm retry` starts it again with your message"
_LONGEST = 16 * 1024 * 1024
_RELEVANT = ('"result"', '"command_lifecycle"', '"init"', '"control_request"', '"control_cancel_request"')


class Stdin(Protocol):
    """The agent's stdin."""

    open: bool

    def write(self, data: bytes) -> None:
        """Queue data."""
        ...

    def close(self) -> None:
        """Close when everything queued is written."""
        ...


class Notes(Protocol):
    """Where notes for the host go."""

    def note(self, text: str, **fields: object) -> None:
        """Emit a note."""
        ...


class Turns:
    """Our side of the conversation with one agent. Times are seconds of `clock`. worded: returns a message as this agent takes it."""

    def __init__(
        self,
        stdin: Stdin,
        frames: Notes,
        *,
        hold: bool,
        hold_seconds: float,
        grace_seconds: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
        worded: Callable[[str], str] = str,
    ) -> None:
        self._stdin, self._frames, self._clock, self._worded = stdin, frames, clock, worded
        self._hold, self._hold_seconds, self._grace_seconds = hold, hold_seconds, grace_seconds
        self._pending: dict[str, tuple[str, str]] = {}
        self._waits_until: float | None = None
        self._grace_until: float | None = None

    @property
    def waiting(self) -> bool:
        """Whether the agent ended its turn and is waiting for input."""
        return self._waits_until is not None

    @property
    def ending(self) -> bool:
        """Whether the agent finished its last turn and should exit by itself."""
        return self._grace_until is not None

    @property
    def next_moment(self) -> float | None:
        """When `overdue` should be called next, or None."""
        return self._waits_until if self._waits_until is not None else self._grace_until

    def begin(self, prompt: str) -> None:
        """Send the prompt as the first user message."""
        self.send({"type": "user", "message": {"role": "user", "content": self._worded(prompt)}})

    def say(self, text: str, message: str = "") -> None:
        """Send a message of the user. Exactly one note answers it: when the agent takes it up, or when it no longer can. message: what it is called."""
        if not self._stdin.open:
            self._answer(text, message, taken=False)
            return
        self._stop_waiting()
        key = fresh_uuid()
        self._pending[key] = text, message
        self.send({"type": "user", "message": {"role": "user", "content": self._worded(text)}, "uuid": key})

    def interrupt(self) -> None:
        """Ask the agent to abort its turn."""
        self.send({"type": "control_request", "request_id": fresh_uuid(), "request": {"subtype": "interrupt"}})

    def hold(self) -> None:
        """Let the agent wait for input after each turn from now on."""
        self._hold = True

    def release(self) -> None:
        """Undo `hold`; an agent that is waiting may end."""
        self._hold = False
        if self.waiting:
            self.end()

    def end(self) -> None:
        """Send nothing more: the agent ends with its current turn."""
        self._stop_waiting()
        self._stdin.close()

    def finish(self) -> None:
        """Answer the messages that the agent never took up."""
        self._stop_waiting()
        for text, message in self._pending.values():
            self._answer(text, message, taken=False)
        self._pending.clear()

    def hear(self, message: Mapping[str, Any]) -> None:
        """Process one message of the agent."""
        match message:
            case {"type": "result"}:
                self._turn_over()
            case {"type": "system", "subtype": "init"}:
                self._grace_until = None
            case {"type": "command_lifecycle", "command_uuid": str(key), "state": "started" | "completed"} if key in self._pending:
                self._grace_until = None
                self._answer(*self._pending.pop(key), taken=True)

    def overdue(self) -> bool:
        """Apply the deadlines that have passed; return whether the agent should have exited by now."""
        now = self._clock()
        if self._waits_until is not None and now >= self._waits_until:
            self.end()
        if self._grace_until is None or now < self._grace_until:
            return False
        if self._stdin.open:  # a message was written and never taken up
            self._stdin.close()
            self._grace_until = now + self._grace_seconds
            return False
        return True

    def _turn_over(self) -> None:
        self._grace_until = self._clock() + self._grace_seconds
        if self._pending or not self._stdin.open:
            return
        if not self._hold:
            self._stdin.close()
            return
        self._grace_until = None
        self._waits_until = self._clock() + self._hold_seconds
        self._frames.note("the agent is waiting for input", what="waiting", until=round(time.time() + self._hold_seconds, 3))

    def _stop_waiting(self) -> None:
        if self._waits_until is not None:
            self._waits_until = None
            self._grace_until = self._clock() + self._grace_seconds
            self._frames.note("the agent is no longer waiting", what="waiting")

    def _answer(self, text: str, message: str, *, taken: bool) -> None:
        self._frames.note(text, what="steered", request=message, taken=taken, **({} if taken else {"detail": LATE}))

    def send(self, message: Mapping[str, object]) -> None:
        """Write one message, as the agent's program takes it."""
        self._stdin.write(json.dumps(message).encode() + b"\n")


class MessageReader:
    """Joins an agent's lines from their parts and passes on the few messages that matter here."""

    def __init__(self, on_message: Callable[[Mapping[str, Any]], None]) -> None:
        self._on_message = on_message
        self._parts: list[str] = []
        self._length = 0

    def __call__(self, text: str, part: bool) -> None:
        """Take one line of the agent's stdout, or a part of one."""
        self._length += len(text)
        if self._length <= _LONGEST:
            self._parts.append(text)
        if part:
            return
        line = "".join(self._parts) if self._length <= _LONGEST else ""
        self._parts, self._length = [], 0
        if line.startswith("{") and any(word in line for word in _RELEVANT):
            self._read(line)

    def _read(self, line: str) -> None:
        try:
            message = read_json(line)
        except ValueError:
            return
        self._on_message(message)
