"""The standard streams as they may really be: closed, full, or with a reader that has gone away."""

import codecs
import io
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from errno import EBADF
from typing import TYPE_CHECKING

from ccterm.errors import CctermError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_COMMAND = re.compile(r"^[^\S\n]*::|##\[", re.MULTILINE)
_WRONG_WAY = {0: os.O_WRONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}
"""How the null device is opened in place of a closed stream: using stdin or stdout still fails, what goes to stderr is dropped."""


_PLAIN = {
    "✓": "+",
    "✗": "x",
    "●": "*",
    "○": "o",
    "‖": "=",
    "–": "-",
    "›": ">",
    "·": "-",
    "…": "...",
    "→": "->",
    "≈": "~",
    "“": '"',
    "”": '"',
    "’": "'",
}
"""Signs of ours -> what stands for them where the encoding of a stream has no such sign."""


class OutputError(CctermError):
    """stdout cannot be written."""


class ReaderGone(OutputError):
    """Whoever read stdout, such as `head`, has gone away: nobody wants to know."""


class _Stdout(io.FileIO):
    def write(self, data: "ReadableBuffer", /) -> int:
        """Write. Raises OutputError."""
        try:
            return super().write(data) or 0
        except BrokenPipeError as error:
            raise ReaderGone("the reader of the output has gone away") from error
        except OSError as error:
            why = "stdout is closed" if error.errno == EBADF else error.strerror
            raise OutputError(f"the output cannot be written: {why}", "send it to where there is room") from error


class _Stderr(io.FileIO):
    def write(self, data: "ReadableBuffer", /) -> int:
        """Write, or drop what cannot be written: there is no other place to say it, and the work goes on."""
        with suppress(OSError):
            return super().write(data) or 0
        return len(memoryview(data))


class _GuardedText(io.TextIOWrapper):
    """A standard stream of ours: the last filter before a terminal, whoever wrote a text and whatever is in it.

    Takes out what drives a terminal, the secrets that this process has read, and in GitHub Actions what the runner would obey.
    Texts that are sent elsewhere are sanitised as well: sooner or later somebody looks at them. Bytes, such as a patch, are not.
    """

    def write(self, text: str, /) -> int:
        """Write a text without anything that drives a terminal or cannot be seen. Raises OutputError."""
        super().write(_harmless(text))
        return len(text)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding cannot hold, as an error handler of codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(char, "?") for char in error.object[error.start : error.end]), error.end


codecs.register_error("ccterm", _replaced)


def guard_streams() -> None:
    """Have failures of stdout raise OutputError and those of stderr ignored, and keep the numbers of closed streams from other files.

    A database that got number 1 would be overwritten by the next program that prints.
    """
    for number, flags in _WRONG_WAY.items():
        if not _is_open(number):
            _open_null(number, flags)
    if sys.stdin is None:  # closed at the start
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, "r", closefd=False)), "utf-8")
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Stdout(1, "w", closefd=False), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Stderr(2, "w", closefd=False), sys.stderr)


def give_up_stdout() -> None:
    """Send what is left for stdout nowhere: flushing it at the end of the process would fail once more, with a traceback."""
    if isinstance(sys.stdout, _GuardedText):
        _open_null(1, os.O_WRONLY)


def print_error(text: str, fix: str = "") -> None:
    """Print what happened to stderr, and below it what to do."""
    sys.stderr.write(f"ccterm: {text}\n" + (f"  {fix}\n" if fix else ""))
    sys.stderr.flush()


def escaped(line: str) -> str:
    """Return JSON that says the same without anything that would be taken out of it, or altered, on its way to stdout."""
    line = line.replace("##[", r"##\u005b")
    if not line.isascii() and not _holds(line):
        line = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], line)
    if _is_plain(line):
        return line
    from ccterm.git.names import IGNORABLE  # deferred: most output is plain

    return re.sub(f"[\x7f-\x9f\u2028\u2029{IGNORABLE}]", lambda found: json.dumps(found[0])[1:-1], line)


class Output:
    """Prints for as long as stdout can be written: work that is under way goes on without. printing: prints one text."""

    def __init__(self, printing: Callable[[str], None]) -> None:
        self._printing = printing
        self._failed = False

    def print(self, text: str) -> None:
        """Print, unless that failed before."""
        if not self._failed:
            try:
                self._printing(text)
            except OutputError:
                self._failed = True


def _holds(text: str) -> bool:
    """Whether the encoding of stdout has all characters of a text."""
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True


def _is_plain(text: str) -> bool:
    """Whether a text is of printable ASCII characters, which most are: nothing has to be imported to print it."""
    return text.isascii() and text.replace("\n", "").isprintable()


def _harmless(text: str) -> str:
    if (own_text := sys.modules.get("ccterm.output.own_text")) is not None:  # else this process has read no secret
        text = own_text.clean_text(text)
    elif not _is_plain(text):
        from ccterm.output.sanitise import sanitise  # deferred, likewise

        text = sanitise(text)
    return _without_commands(text) if os.environ.get("GITHUB_ACTIONS") == "true" else text


def _without_commands(text: str) -> str:
    """Return a text that GitHub's runner takes for no command: it obeys what a line begins with, and `##[NAME]` wherever it stands."""
    return _COMMAND.sub(lambda found: " ".join(found[0]) if found[0] == "##[" else found[0][:-1] + " :", text)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _open_null(number: int, flags: int) -> None:
    opened = os.open(os.devnull, flags)
    if opened == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(opened, number)
        os.close(opened)


def _text(raw: io.FileIO, like: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """Return a text stream with the encoding of the one whose place it takes."""
    encoding, lines = (like.encoding, like.line_buffering) if like else ("utf-8", True)
    return _GuardedText(io.BufferedWriter(raw), encoding, "ccterm", line_buffering=lines)
