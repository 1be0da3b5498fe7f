"""Restores the terminal whatever happens: the screen runs in a child, and this small process, which does not crash with it, remains.

A screen that ends by itself restores the terminal itself; one that is killed cannot, and leaves raw mode, mouse reports and the
other screen behind.
"""

import os
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable

MODES_OFF = (
    "\x1b[?2026l"  # end synchronized output
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"  # no mouse reports
    "\x1b[?1004l\x1b[?2004l\x1b[?2048l"  # nor focus, paste and size reports
    "\x1b[<u\x1b[>4;0m"  # plain keyboard protocol
    "\x1b[?25h\x1b[0m"  # the cursor and its colours
)
"""Undoes what a program with a screen asks of a terminal."""
MAIN_SCREEN = "\x1b[?1049l"
"""Leaves the other screen. On the main one already, the cursor would jump."""
Work = Callable[[int], int]
"""What runs in the child: takes a descriptor that hangs up when the parent dies; returns the exit code."""


GRACE_SECONDS = 30.0
"""How long a screen may take to end by itself once its terminal is gone; in that time its runs are stopped and their work is kept."""


def guarded(work: Work, *, grace: float = GRACE_SECONDS) -> int:
    """Run `work` in a child process and restore the terminal afterwards; returns the child's exit code."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    ours, theirs = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(theirs)
        threading.Thread(target=_end_with, args=(terminal, ours, grace), name="hang-up", daemon=True).start()
        return work(ours)
    os.close(ours)
    _pass_on(child)
    status = _wait(child)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # setting modes must not suspend us when another job has the terminal
    try:
        if os.WIFSIGNALED(status):
            os.write(sys.stdout.fileno(), (MAIN_SCREEN + MODES_OFF).encode())
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
    except (OSError, termios.error):
        pass  # the terminal itself is gone
    if os.WIFSIGNALED(status):
        sys.stderr.write(f"ccterm: the screen was ended by signal {os.WTERMSIG(status)}; ccterm runs shows the state of the runs\n")
        return 128 + os.WTERMSIG(status)
    return os.waitstatus_to_exitcode(status)


def _end_with(terminal: int, parent: int, grace: float) -> None:
    """End this process some time after its terminal or its parent is gone, if it has not ended by then.

    Whoever writes to a terminal that is gone may wait for ever, and the event loop with it: then no signal is heard any more.
    """
    poll = select.poll()
    poll.register(terminal, 0)  # a hang-up is always reported
    poll.register(parent, 0)
    while not any(happened & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, happened in poll.poll()):
        continue
    time.sleep(grace)
    os._exit(128 + signal.SIGHUP)


def _pass_on(child: int) -> None:
    """Forward the signals that are meant for the whole program to the child; those of the keyboard reach it anyway."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(child, received))
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _wait(child: int) -> int:
    """Return how the child ended; when it is suspended, suspend this process too, or the shell would wait for it."""
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return status
        os.kill(os.getpid(), signal.SIGSTOP)
        os.kill(child, signal.SIGCONT)
