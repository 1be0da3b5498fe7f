"""What a model says in a test: turns with text and tools, and every known way to fail. Played by MessagesServer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from tests.servers.loopback import Gate


@dataclass(frozen=True)
class Text:
    """Text of the model."""

    text: str


@dataclass(frozen=True)
class ToolUse:
    """A tool that the model calls; a relative `file_path` is relative to the session's working directory."""

    name: str
    input: Mapping[str, JsonValue]


Block = Text | ToolUse


@dataclass(frozen=True)
class Turn:
    """One complete answer. `stop` None = tool_use when it calls a tool, else end_turn. `gate`: the answer waits there."""

    blocks: tuple[Block, ...]
    gate: Gate | None = None
    stop: str | None = None
    input_tokens: int = 1000
    output_tokens: int = 100
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the answer, besides its own."""

    @property
    def stop_reason(self) -> str:
        """Return why the model stopped."""
        return self.stop or ("tool_use" if any(isinstance(block, ToolUse) for block in self.blocks) else "end_turn")


@dataclass(frozen=True)
class Refuse:
    """An error answer, the next `times` times or forever (None), like all failures below."""

    status: int
    kind: str
    message: str = "refused by the test"
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int | None = None


@dataclass(frozen=True)
class Cut:
    """A connection reset: before the answer, or in the middle of its text."""

    where: Literal["before", "within"]
    times: int | None = None


@dataclass(frozen=True)
class Silence:
    """An answer that begins, then stays silent until the gate opens and the connection is reset."""

    gate: Gate
    times: int | None = None


@dataclass(frozen=True)
class StreamError:
    """An `error` event within the stream."""

    kind: str = "overloaded_error"
    times: int | None = None


Failure = Refuse | Cut | Silence | StreamError
Part = Turn | Failure


def say(text: str, *, gate: Gate | None = None) -> Turn:
    """Return a turn of text only."""
    return Turn((Text(text),), gate)


def use(*tools: ToolUse, text: str = "Working on it.", gate: Gate | None = None) -> Turn:
    """Return a turn with some text and tool calls."""
    return Turn((Text(text), *tools), gate)


def write(path: str, content: str) -> ToolUse:
    """Return a call of Write; an existing file must have been read before."""
    return ToolUse("Write", {"file_path": path, "content": content})


def read(path: str) -> ToolUse:
    """Return a call of Read."""
    return ToolUse("Read", {"file_path": path})


def edit(path: str, old: str, new: str) -> ToolUse:
    """Return a call of Edit; the file must have been read or written before."""
    return ToolUse("Edit", {"file_path": path, "old_string": old, "new_string": new})


def bash(command: str) -> ToolUse:
    """Return a call of Bash. One that hangs: `touch begun; tail -f /dev/null`, then wait for the file (a lone sleep is refused)."""
    return ToolUse("Bash", {"command": command, "description": "Run a command"})


REFUSAL = Turn((Text("I cannot help with that."),), stop="refusal")
CUT_SHORT = Turn((Text("This answer was too lo"),), stop="max_tokens")


def unauthorized() -> Refuse:
    """Return the answer to a bad or expired login."""
    return Refuse(401, "authentication_error", "Invalid bearer token")


def overloaded(times: int | None = None) -> Refuse:
    """Return status 529."""
    return Refuse(529, "overloaded_error", "Overloaded", times=times)


def rate_limited(times: int | None = None) -> Refuse:
    """Return a plain 429 that is not a usage limit."""
    return Refuse(429, "rate_limit_error", "This request would exceed your rate limit", {"retry-after": "1"}, times)


def usage_limit(resets_at: int, *, window: Literal["five_hour", "seven_day"] = "five_hour") -> Refuse:
    """Return the answer to a subscription whose usage window is exhausted until `resets_at`, in Unix seconds."""
    headers = window_headers(resets_at, "rejected", 1.0, window=window)
    return Refuse(429, "rate_limit_error", "This request would exceed your account's rate limit", headers)


def window_headers(
    resets_at: int, status: str, utilization: float, *, window: Literal["five_hour", "seven_day"] = "five_hour"
) -> Mapping[str, str]:
    """Return the headers that tell what is left of a subscription's usage window."""
    short = {"five_hour": "5h", "seven_day": "7d"}[window]
    headers = {
        "status": status,
        "reset": str(resets_at),
        "representative-claim": window,
        f"{short}-status": status,
        f"{short}-reset": str(resets_at),
        f"{short}-utilization": str(utilization),
        "overage-status": "rejected",
        "overage-disabled-reason": "org_level_disabled",
    }
    return {f"anthropic-ratelimit-unified-{name}": value for name, value in headers.items()}
