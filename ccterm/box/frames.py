"""How a step program reads its request and prints its frames: what every program of a box begins and ends with."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, TypeVar

from ccterm.box import HIDDEN

if TYPE_CHECKING:
    from ccterm.box.protocol import Stream

PART = 256 * 1024
"""Longest text of one frame, in characters; a longer line is sent in parts."""
LONG = 512
"""A frame of at least so many characters carries its length."""
MASK = "***"
"""What an engine writes in place of a secret."""
_SHORTEST = 4
"""Characters of a value that is masked: shorter ones occur in every frame."""
F = TypeVar("F", bound="Frames")


class Frames:
    """Writes frames to the stdout that the program was started with; thread-safe."""

    def __init__(self) -> None:
        self._fd = os.dup(1)
        os.dup2(2, 1)  # a stray print must not break the frames
        self._lock = threading.Lock()
        self._begin = time.monotonic()
        self._next = 0
        self.hidden: list[str] = []
        """Values that an engine masks wherever they occur in the output. Masked here already, or it would change the length of a frame."""

    def hide(self, names: Iterable[str]) -> None:
        """Mask the values of these variables."""
        self.hidden = [value for name in names if len(value := os.environ.get(name, "")) >= _SHORTEST]

    def _emit(self, kind: str, fields: str) -> None:
        for value in self.hidden:
            fields = fields.replace(value, MASK)
        with self._lock:
            text = frame_text(self._next, time.monotonic() - self._begin, kind, fields)
            self._next += 1
            self._write(text.encode("ascii"))

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def line(self, stream: "Stream", text: str, *, part: bool = False) -> None:
        """Emit one line of output, or part of one."""
        self._emit("line", f'"s":{stream},"d":{encode_basestring_ascii(text)}' + (',"part":true' if part else ""))

    def note(self, text: str, **fields: object) -> None:
        """Emit a note; `what` says which kind."""
        self._emit("note", _inner({"d": text, **fields}))

    def checkpoint(self, number: int, what: str, text: str, *, more: bool = False) -> None:
        """Emit one line of a checkpoint, or part of one."""
        self._emit("checkpoint", f'"number":{number},"what":"{what}","d":"{text}"' + (',"part":true' if more else ""))

    def report(self, report: Mapping[str, object]) -> None:
        """Emit the program's result."""
        self._emit("report", _inner({"report": report}))

    def end(self) -> None:
        """Emit the last frame."""
        self._emit("end", "")


def frame_text(number: int, passed: float, kind: str, fields: str) -> str:
    """Return a frame as a line. fields: those of its kind, as the inside of a JSON object."""
    # formatted by hand: an agent may print a hundred thousand lines a second
    length = f',"z":{len(fields) + 2}' if len(fields) >= LONG else ""
    return f'{{"n":{number},"t":{passed:.3f},"k":"{kind}"{length}{fields and ","}{fields}}}\n'


def _inner(fields: Mapping[str, object]) -> str:
    return json.dumps(fields, ensure_ascii=True, separators=(",", ":"))[1:-1]


def read_request() -> dict[str, Any]:  # Any: JSON, typed by each program as its own TypedDict
    """Read the JSON file named by the last argument; "-" = stdin."""
    name = sys.argv[-1]
    with open(0 if name == "-" else name, encoding="utf-8", closefd=name != "-") as file:
        request: dict[str, Any] = json.load(file)
    return request


def carry_out(program: Callable[[Frames, Any], Mapping[str, object]]) -> None:
    """Run a program from its request to its last frame: `def main() -> None: carry_out(commit)`.

    An uncaught exception becomes the report {ok: False, reason: "internal", detail: its type and first line}; one of the system has the
    reason of `reason_of_system`.
    """
    carry_out_with(Frames(), program)


def carry_out_with(frames: F, program: Callable[[F, Any], Mapping[str, object]]) -> None:
    """Do the same with the program's own kind of frames."""
    try:
        request = read_request()
        frames.hide(request.get(HIDDEN, ()))
        report = program(frames, request)
    except Exception as error:  # noqa: BLE001 - last resort: the host must get a report
        import traceback  # deferred: every step would wait for it

        from ccterm.git.errors import reason_of_system

        traceback.print_exc()
        reason = reason_of_system(error) if isinstance(error, OSError) else "internal"
        report = {"ok": False, "reason": reason, "detail": f"{type(error).__name__}: {error}".split("\n")[0]}
    frames.report(report)
    frames.end()
