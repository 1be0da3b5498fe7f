"""A real terminal for a test: a program on its own pty, in its own session, with a small emulator of the screen."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LIMIT = 90.0
OURS = re.compile(
    rb"\x1b\[[0-9;]*[ABCDGHJKmnstuqc]|\x1b\[[0-9]+ q|\x1b\[\?[0-9;]+\$?[hlpu]|\x1b\[[<>=][0-9;]*[umcq]"
    rb"|\x1b\](?:2;[^\x00-\x1f\x7f]*|22;[a-z]*)\x07|\x1b\]11;\?(?:\x07|\x1b\\)|\x1bP\+q[^\x1b]*\x1b\\\\|\x1b[78=>]"
)
"""Control sequences that ccterm and Textual send."""
PAINTING = re.compile(rb"\x1b\[[0-9]+;[0-9]+H|\x1b\[[0-9;]*m|\x1b\[\?(?:2026|25)[hl]|\x1b\](?:2;[^\x00-\x1f\x7f]*|22;[a-z]*)\x07")
"""Control sequences between start and end: positions, colours, title, pointer shape."""
_FOREIGN = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_MODES = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
_CONTROL = re.compile(rb"\x1b\[[0-9;?<>=]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-B0-2]|\x1b[=>78cM]")


class Terminal:
    """Runs a program on a pty. Everything it printed is in `output`."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, size: tuple[int, int] = (120, 32)) -> None:
        self._leader, follower = pty.openpty()
        width, height = size
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.before = termios.tcgetattr(follower)
        self._follower = follower  # kept open, so that the modes can be asked after the program has ended
        self.output = b""
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(follower, termios.TIOCSCTTY, 0)
            for number in (0, 1, 2):
                os.dup2(follower, number)
            os.closerange(3, 64)
            os.chdir(cwd)
            os.execve(command[0], list(command), dict(env))

    def press(self, keys: str) -> None:
        """Type keys."""
        os.write(self._leader, keys.encode())

    def read(self, seconds: float = 0.1) -> bool:
        """Read what the program printed. Returns whether there was anything."""
        ready, _, _ = select.select([self._leader], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self._leader, 65536)
        except OSError:
            return False
        self.output += data
        return bool(data)

    def rest(self, seconds: float = 0.3) -> None:
        """Read until the program has been silent for `seconds`."""
        while self.read(seconds):
            continue

    def until(self, words: str, *, after: int = 0) -> int:
        """Read until the text is in the output after position `after`. Returns the length of the output. Raises TimeoutError."""
        end = time.monotonic() + LIMIT
        while words.encode() not in _CONTROL.sub(b"", self.output[after:]):
            if time.monotonic() > end:
                raise TimeoutError(f"{words!r} did not come; last: {_CONTROL.sub(b'', self.output[-3000:])!r}")
            self.read()
        return len(self.output)

    def children(self) -> list[int]:
        """Return the program's child processes."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def wait(self) -> int:
        """Read to the program's end and return its exit code, negative for a signal."""
        end = time.monotonic() + LIMIT
        while True:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read(0.1):
                    continue
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                raise TimeoutError(f"it did not end; last: {self.output[-2000:]!r}")

    @property
    def modes(self) -> dict[int, bool]:
        """The private modes after everything that was printed."""
        found: dict[int, bool] = {}
        for numbers, way in _MODES.findall(self.output):
            found |= {int(number): way == b"h" for number in numbers.split(b";") if number}
        return found

    def foreign(self, ours: re.Pattern[bytes] = OURS, *, begin: int = 0, end: int | None = None) -> str:
        """Return the first foreign control sequence in a part of the output, with what follows it, or ""."""
        rest = ours.sub(b"", self.output[begin:end]).decode("utf-8", "replace")
        found = _FOREIGN.search(rest)
        return repr(rest[found.start() : found.start() + 80]) if found else ""

    @property
    def given_back(self) -> bool:
        """Whether the terminal is restored: line mode, no mouse, the main screen, a visible cursor."""
        on = {mode for mode, is_on in self.modes.items() if is_on}
        return termios.tcgetattr(self._follower) == self.before and on <= {25, 7, 12} and self.modes.get(25, True)

    def close(self) -> None:
        """Kill the program if it is still running."""
        for descriptor in (self._leader, self._follower):
            os.close(descriptor)


class Screen(Terminal):
    """ccterm on a terminal. program: what Python runs in place of it."""

    def __init__(self, tmp_path: Path, *args: str, size: tuple[int, int] = (120, 32), program: Sequence[str] = ("-m", "ccterm")) -> None:
        environ = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        environ |= {"TERM": "xterm-256color", "CCTERM_STATE_DIR": str(tmp_path / "state"), "CCTERM_MODE": "local"}
        super().__init__([sys.executable, *program, *args], env=environ, cwd=tmp_path, size=size)

    def until_no_runs(self) -> int:
        """Read until the empty fleet is shown and the checks, which open by themselves when one fails, can no longer come over it."""
        self.press("p")
        at = self.until("preflight")
        self.press("\x1b")
        return self.until("No runs yet", after=at)
