"""Reads a secret from the terminal without showing it; a pasted one may be broken into lines."""

import os
import select
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

_QUIET_SECONDS = 0.3
"""How long nothing may follow a line break before it counts as the Enter key and not as part of what is pasted."""
_LARGEST = 64 * 1024
_ERASE = b"\x7f\x08"


def read_secret(ask: Callable[[], None] | None = None, *, fd: int | None = None) -> str:
    """Return what is typed or pasted up to the Enter key, or up to the end of a file.

    ask: asks for it; called when the terminal no longer shows what is typed, since who was asked may paste at once.
    fd: a terminal or a file; None = stdin.
    """
    fd = sys.stdin.fileno() if fd is None else fd
    with _hidden(fd) if os.isatty(fd) else nullcontext():
        if ask:
            ask()
        read = _typed(fd) if os.isatty(fd) else _rest(fd)
    return read.decode("utf-8", "replace")


def _rest(fd: int) -> bytearray:
    read = bytearray()
    while len(read) < _LARGEST and (block := os.read(fd, _LARGEST)):
        read += block
    return read


def _typed(fd: int) -> bytearray:
    typed = bytearray()
    while len(typed) < _LARGEST:
        block = os.read(fd, 4096)
        if not block or b"\x04" in block:  # the end of the file, as Ctrl-D
            return typed + block.partition(b"\x04")[0]
        for byte in block:
            if byte in _ERASE:
                del typed[-1:]
            else:
                typed.append(byte)
        if typed.strip() and typed.endswith((b"\n", b"\r")) and not select.select([fd], [], [], _QUIET_SECONDS)[0]:
            return typed
    return typed


@contextmanager
def _hidden(fd: int) -> Iterator[None]:
    """Show nothing of what is typed, and read it as it comes: a terminal's own line reading would wait for the end of the last line."""
    before = termios.tcgetattr(fd)
    quiet = [*before[:3], before[3] & ~(termios.ECHO | termios.ICANON), *before[4:6], list(before[6])]
    quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSAFLUSH, before)
