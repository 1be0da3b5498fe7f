"""What reaches the scripted agent: messages on stdin, interrupts and signals, all taken in by one thread when the script asks."""

import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ccterm.git.bounded_json import read_json


class Message(NamedTuple):
    """A user message; key = its uuid, or ""."""

    text: str
    key: str


class StdinReader:
    """Reads stdin only when asked to. arrived: called with each message. respond: called with each control request."""

    def __init__(self, arrived: Callable[[Message], None], respond: Callable[[str, str], None]) -> None:
        self.messages: deque[Message] = deque()
        self.interrupted = False
        """The turn was interrupted; the agent goes on."""
        self.signalled = False
        """A SIGINT came; the agent exits."""
        self.closed = False
        self.answers: dict[str, Mapping[str, Any]] = {}
        """Answers to our control requests, by their ids."""
        self._arrived, self._respond = arrived, respond
        self._rest = b""
        self._wake, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(143))

    def _on_signal(self, *_: object) -> None:
        self.signalled = True

    @property
    def stopped(self) -> bool:
        """Whether the turn should end now."""
        return self.interrupted or self.signalled

    def listen(self, seconds: float = 0.0, also: int = -1) -> None:
        """Take in what has arrived, waiting at most `seconds` for it. also: one more descriptor to wake up for."""
        wanted = [self._wake, *([] if self.closed else [0]), *([also] if also >= 0 else [])]
        ready, _, _ = select.select(wanted, [], [], max(0.0, seconds))
        if self._wake in ready:
            os.read(self._wake, 4096)
        if 0 in ready:
            self._read()

    def sleep(self, seconds: float) -> None:
        """Wait, unless the turn is interrupted."""
        end = time.monotonic() + seconds
        while not self.stopped and (left := end - time.monotonic()) > 0:
            self.listen(left)

    def next_message(self) -> Message | None:
        """Wait for the next user message; None = stdin is closed, or a SIGINT came."""
        while not self.messages and not self.closed and not self.signalled:
            self.listen(60)
        return self.messages.popleft() if self.messages and not self.signalled else None

    def _read(self) -> None:
        data = os.read(0, 65536)
        self.closed = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self.closed and self._rest:
            lines, self._rest = [self._rest], b""
        for line in lines:
            if line.strip():
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            given = read_json(line)
        except ValueError:
            os.write(2, f"Error parsing streaming input line (type=unknown, {len(line)} chars): SyntaxError\n".encode())
            raise SystemExit(1) from None
        match given:
            case {"type": "user", "message": {"content": content}}:
                message = Message(_text(content), str(given.get("uuid", "")))
                self.messages.append(message)
                self._arrived(message)
            case {"type": "control_request", "request_id": request, "request": {"subtype": subtype}}:
                self.interrupted = self.interrupted or subtype == "interrupt"
                self._respond(str(request), str(subtype))
            case {"type": "control_response", "response": {"request_id": request, "response": dict(answer)}}:
                self.answers[str(request)] = answer


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))
