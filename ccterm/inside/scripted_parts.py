"""What the messages of the scripted agent are made of: ids, times, the bill, and the file that keeps the conversation."""

import contextlib
import json
import os
import time
from collections.abc import Mapping

COST_USD, INPUT, OUTPUT = 0.0028, 1200, 40
"""What one answer costs unless the script says otherwise."""


class Spending:
    """Money and tokens: of this turn, and of the session so far."""

    def __init__(self) -> None:
        self.cost_usd = 0.0
        self.turn_input = self.turn_output = self.turn_answers = 0
        self.input = self.output = 0

    def begin_turn(self) -> None:
        """Count from nought for a new turn."""
        self.turn_input = self.turn_output = self.turn_answers = 0

    def answer(self, cost_usd: float = COST_USD, input_tokens: int = INPUT, output_tokens: int = OUTPUT) -> None:
        """Count one answer of the model."""
        self.cost_usd += cost_usd
        self.turn_answers += 1
        self.turn_input += input_tokens
        self.turn_output += output_tokens
        self.input += input_tokens
        self.output += output_tokens


class Conversation:
    """The session's file below HOME, as the CLI keeps it; without a HOME that can be written there is none."""

    def __init__(self, session: str) -> None:
        self._file = -1
        place = "".join(letter if letter.isalnum() else "-" for letter in os.getcwd())
        directory = os.path.join(os.environ.get("HOME", "/nonexistent"), ".claude", "projects", place)
        with contextlib.suppress(OSError):
            os.makedirs(directory, mode=0o700, exist_ok=True)
            self._file = os.open(f"{directory}/{session}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def add(self, message: Mapping[str, object]) -> None:
        """Write one message down."""
        if self._file >= 0:
            os.write(self._file, line_of(message))


def line_of(message: Mapping[str, object]) -> bytes:
    """Return a message as the CLI prints it: raw UTF-8, one line."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"


def usage(input_tokens: int, output_tokens: int) -> dict[str, object]:
    """Return a usage block."""
    cache = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    return {"input_tokens": input_tokens, **cache, "output_tokens": output_tokens, "service_tier": "standard"}


def fresh(prefix: str) -> str:
    """Return a fresh id of the API's kind."""
    return prefix + os.urandom(12).hex()


def fresh_uuid() -> str:
    """Return a uuid4; the uuid module would cost start-up time."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def timestamp() -> str:
    """Return the time as the CLI writes it."""
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"


def pieces(text: str) -> list[str]:
    """Return a text as it is typed, in at most a hundred pieces."""
    size = max(20, len(text) // 100 + 1)
    return [text[start : start + size] for start in range(0, len(text), size)] or [""]
