"""The lines that cross the daemon's socket (a greeting, one command, one reply), and the one form in which errors cross a process boundary."""

from collections.abc import Iterator
from typing import Literal

from pydantic import JsonValue

from ccterm.causes import Cause
from ccterm.errors import CctermError, DaemonError, StepError, TaskFileError
from ccterm.values import Value

PROTOCOL = 4
"""Version of the conversation; both sides must speak the same."""
LINE_LIMIT = 64 * 1024 * 1024
"""Longest line, in bytes."""
LINE_VALUES = 1_000_000
"""Most values in one line: enough for as many tasks as a batch may have."""


class Hello(Value):
    """The daemon's first line on every connection."""

    hello: Literal["ccterm"] = "ccterm"
    protocol: int = PROTOCOL
    pid: int


class WireError(Value):
    """An expected error as data. With a status and a title these fields make a problem document for HTTP (RFC 9457)."""

    type: str
    """Name of the error's class."""
    message: str
    fix: str = ""
    cause: Cause | None = None
    reason: str = ""
    line: int | None = None
    column: int | None = None

    @classmethod
    def of(cls, error: CctermError) -> "WireError":
        """Return an error's wire form."""
        from ccterm.output.own_text import clean_text  # deferred: who reads replies does without

        common = cls(type=type(error).__name__, message=clean_text(error.message), fix=clean_text(error.fix))
        match error:
            case StepError():
                return common.model_copy(update={"cause": error.cause, "reason": error.reason})
            case TaskFileError():
                return common.model_copy(update={"line": error.line, "column": error.column})
            case _:
                return common

    def error(self) -> CctermError:
        """Return the error again; a class that this version does not know becomes a DaemonError."""
        kind = _KINDS.get(self.type, DaemonError)
        if issubclass(kind, StepError):
            return kind(self.cause or Cause.INTERNAL, self.message, self.fix, reason=self.reason)
        if issubclass(kind, TaskFileError):
            return kind(self.message, self.fix, line=self.line or 1, column=self.column or 1)
        return kind(self.message, self.fix)


def error_classes(root: type[CctermError] = CctermError) -> Iterator[type[CctermError]]:
    """Yield the class and all its children."""
    yield root
    for child in root.__subclasses__():
        yield from error_classes(child)


_KINDS = {kind.__name__: kind for kind in error_classes()}


class Reply(Value):
    """The answer to a command: its result as JSON, or the error that refused it. more: it is a piece of an answer, and another line follows."""

    result: JsonValue = None
    error: WireError | None = None
    more: bool = False
