"""A shell on a person's terminal, in place of an agent: the program that the supervisor then starts.

Between the box and the person's program lies one socket. Keys and window sizes come over it, what the shell draws goes, each behind a head of
kind and length. The shell gets a terminal of its own, so that programs with a screen work, `claude` among them.
"""

import contextlib
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping

from ccterm.box import BEAT, DRAWN, KEYS, RESIZED, SHELL_HEAD, SHELL_SIZE
from ccterm.box.process.loop import Signals, Want, turn
from ccterm.git.bounded_json import read_json

_HEAD, _SIZE = struct.Struct(SHELL_HEAD), struct.Struct(SHELL_SIZE)
CHUNK = 64 * 1024
BACKLOG = 256 * 1024
"""Bytes of output that may wait for the person's terminal before the shell has to."""
TICK = 0.5
BEAT_SECONDS = 1.0
"""How often something is sent: an engine that carries the socket lets nobody see that the other end is gone, until something is."""
ENDING = 5.0
"""Seconds that a shell has to end once its terminal is gone."""


class Relay:
    """Moves bytes between the person's end of a connection and the terminal of a shell. Neither end can hold up the other one."""

    def __init__(self, connection: socket.socket, terminal: int) -> None:
        self._connection, self._terminal = connection, terminal
        self._arrived, self._keys, self._output = bytearray(), bytearray(), bytearray()
        self.person_gone = self.shell_gone = False
        self._next_beat = 0.0
        connection.setblocking(False)
        os.set_blocking(terminal, False)

    @property
    def done(self) -> bool:
        """Whether nothing is left to move."""
        return self.person_gone or (self.shell_gone and not self._output)

    def wants(self) -> Iterator[Want]:
        """Wait for either end."""
        events = (0 if self.person_gone else select.POLLIN) | (select.POLLOUT if self._output else 0)
        yield self._connection.fileno(), events, self._serve_person
        if not self.shell_gone:
            events = (select.POLLIN if len(self._output) < BACKLOG else 0) | (select.POLLOUT if self._keys else 0)
            yield self._terminal, events, self._serve_shell

    def _serve_person(self) -> None:
        try:
            if self._output:
                del self._output[: self._connection.send(self._output)]
        except BlockingIOError:
            pass
        except OSError:
            self.person_gone = True
        try:
            data = self._connection.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.person_gone |= not data
        self._arrived += data
        self._take()

    def _take(self) -> None:
        while len(self._arrived) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._arrived)
            if len(self._arrived) < _HEAD.size + length:
                return
            body = bytes(self._arrived[_HEAD.size : _HEAD.size + length])
            del self._arrived[: _HEAD.size + length]
            if kind == KEYS:
                self._keys += body
            elif kind == RESIZED:
                resize(self._terminal, *_SIZE.unpack(body))

    def _serve_shell(self) -> None:
        try:
            if self._keys:
                del self._keys[: os.write(self._terminal, self._keys)]
        except BlockingIOError:
            pass
        except OSError:  # its last process has closed it, and left no output
            self._keys.clear()
        try:
            self._send(DRAWN, os.read(self._terminal, CHUNK))
        except BlockingIOError:
            return
        except OSError:
            self.shell_gone = True

    def beat(self) -> None:
        """Send something now and then."""
        if time.monotonic() >= self._next_beat:
            self._send(BEAT, b"")

    def _send(self, kind: bytes, body: bytes) -> None:
        self._output += _HEAD.pack(kind, len(body)) + body
        self._next_beat = time.monotonic() + BEAT_SECONDS


def resize(terminal: int, rows: int, columns: int) -> None:
    """Tell the programs on a terminal how large it is."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def start_shell(rows: int, columns: int) -> tuple[int, int]:
    """Start bash on a terminal of its own; return its process and our end of that terminal."""
    process, terminal = pty.fork()
    if process == 0:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and a shell would pass that on
            signal.signal(number, signal.SIG_DFL)
        os.execvp("bash", ["bash"])
    resize(terminal, rows, columns)
    return process, terminal


def serve(connection: socket.socket, process: int, terminal: int) -> int:
    """Serve both until the shell has ended, or the person has gone. Returns the shell's exit code; 128 and more = a signal ended it."""
    signals, relay, status = Signals(), Relay(connection, terminal), None
    while not relay.done and not signals.asked:
        turn([signals, relay], TICK)
        relay.beat()
        status = status if status is not None else _status(process)
        if status is not None and not select.select([terminal], [], [], 0)[0]:
            relay.shell_gone = True  # what it left in the background may hold the terminal open
    os.close(terminal)  # hangs up
    if status is None:
        status = _ended(process)
    return status


def _status(process: int) -> int | None:
    found, status = os.waitpid(process, os.WNOHANG)
    return _code(status) if found else None


def _ended(process: int) -> int:
    """Wait for a shell that was hung up; kill it when it stays."""
    signal.signal(signal.SIGALRM, lambda *_: os.kill(process, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, ENDING)
    return _code(os.waitpid(process, 0)[1])


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def place(files: Mapping[str, str]) -> None:
    """Write files into HOME that are not there. files: relative path -> text."""
    for name, text in files.items():
        with contextlib.suppress(FileExistsError), open(os.path.join(os.environ["HOME"], name), "x", encoding="utf-8") as file:
            file.write(text)


def main() -> None:
    """Run as a program: SOCKET ROWS COLUMNS FILES, the last one as JSON."""
    path, rows, columns, files = sys.argv[2:6]
    place(read_json(files))
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
        except OSError as error:
            sys.exit(f"nobody is at the terminal any more: {error.strerror}")
        sys.exit(serve(connection, *start_shell(int(rows), int(columns))))
