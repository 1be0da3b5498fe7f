"""Finds and kills every process of a box, however it hid: by parentage under a subreaper, and by the mark in its environment."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ccterm.git.types import MARK

PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38


class Process(NamedTuple):
    """One process of the machine; `start` distinguishes it from a later one with the same pid."""

    pid: int
    parent: int
    group: int
    start: str
    dead: bool
    marked: bool


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that none is lost (Linux)."""
    _prctl(PR_SET_CHILD_SUBREAPER)


def forbid_new_privileges() -> None:
    """Keep this process and its descendants from gaining privileges by exec (Linux)."""
    _prctl(PR_SET_NO_NEW_PRIVS)


def kill(mark: str, seconds: float = 2.0) -> list[int]:
    """Kill all descendants of this process and all that carry the mark; return the pids that are still alive after `seconds`.

    Whole process groups are killed: the kernel does that atomically, so no fork can escape. All children are reaped on the way; to know
    how one ended, wait for it before.
    """
    end = time.monotonic() + seconds
    while True:
        _kill_children(end)
        alive = members(mark)
        if time.monotonic() > end or not (alive or _reap_all()):
            return [process.pid for process in alive]
        for process in alive:
            _kill_group(process.group)
            send(process, signal.SIGKILL)
        time.sleep(0.002)


def _kill_children(end: float) -> None:
    """Kill one child after another until there is none. An orphan becomes our own child, so none is missed.

    A listing of all processes would miss those that start and end while it is made.
    """
    while time.monotonic() < end and _reap_all() and (children := _children()):
        for child in children:  # dead or alive, the pid stays its own until we reap it
            with contextlib.suppress(ProcessLookupError, PermissionError):
                _kill_group(os.getpgid(child))
                os.kill(child, signal.SIGKILL)
        time.sleep(0.001)


def _reap_all() -> bool:
    """Reap the children that are dead; return whether there are others."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return False
    return True


def _children() -> list[int]:
    """Return our children at this moment (Linux; elsewhere none)."""
    found: list[int] = []
    for thread in os.listdir("/proc/self/task") if sys.platform == "linux" else []:
        with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/children", "rb") as file:
            found.extend(int(pid) for pid in file.read().split())
    return found


def _kill_group(group: int) -> None:
    if group != os.getpgrp():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def members(mark: str) -> list[Process]:
    """Return the living processes of the tree below this process, without itself."""
    processes = list(_listing(mark))
    below = _descendants(os.getpid(), processes)
    return [each for each in processes if (each.marked or each.pid in below) and not each.dead and each.pid != os.getpid()]


def alone() -> bool:
    """Whether no process is here but this one and those that it came from: true only in a container that everything else has left (Linux)."""
    parents = {process.pid: process.parent for process in _listing("")}
    here = os.getpid()
    while here in parents:
        here = parents.pop(here)
    return sys.platform == "linux" and not parents


def _descendants(root: int, processes: Iterable[Process]) -> set[int]:
    children: dict[int, list[int]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    waiting = [root]
    while waiting:
        fresh = [pid for pid in children.get(waiting.pop(), []) if pid not in found]
        found.update(fresh)
        waiting.extend(fresh)
    return found


def reap(keep: int = 0) -> None:
    """Reap the adopted children that are dead, except the one with the pid `keep` (Linux)."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(ChildProcessError):
        while (dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and dead.si_pid != keep:
            os.waitpid(dead.si_pid, 0)


def send(process: Process, number: signal.Signals) -> None:
    """Send a signal to exactly this process, never to a later one with its pid."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform != "linux":
            os.kill(process.pid, number)
            return
        handle = os.pidfd_open(process.pid)
        try:
            if (now := _read(process.pid, b"")) and now.start == process.start:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def _listing(mark: str) -> Iterator[Process]:
    wanted = f"{MARK}={mark}".encode() if mark else b""
    if sys.platform != "linux":
        yield from _from_ps(wanted)
        return
    for name in os.listdir("/proc"):
        if name.isdigit() and (process := _read(int(name), wanted)):
            yield process


def _read(pid: int, wanted: bytes) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    dead = fields[0] in b"ZX" and int(fields[17]) < 2  # a leader may be dead while its threads live
    return Process(pid, int(fields[1]), int(fields[2]), fields[19].decode(), dead, not dead and bool(wanted) and _carries(pid, wanted))


def _carries(pid: int, wanted: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return wanted in file.read().split(b"\0")
    except OSError:
        return False


def _from_ps(wanted: bytes) -> Iterator[Process]:
    """List processes with the environment after each command, as ps does on macOS and BSD."""
    import subprocess  # deferred: costs start-up time

    command = ["ps", "-axEww", "-o", "pid=,ppid=,pgid=,stat=,command="]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as ps:
        listing = ps.communicate()[0]
    for line in listing.split(b"\n"):
        if len(fields := line.split(None, 4)) >= 4 and int(fields[0]) != ps.pid:
            pid, parent, group = (int(field) for field in fields[:3])
            yield Process(pid, parent, group, "", fields[3].startswith(b"Z"), wanted in fields[-1].split())


def _prctl(option: int) -> None:
    import ctypes  # deferred: costs start-up time

    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, 1, 0, 0, 0)


def watch_parent() -> None:
    """Watch stdin from a thread. At its end, kill the whole tree at once."""
    gone, frozen = threading.Event(), threading.Event()

    def freeze(*_: object) -> None:
        while gone.is_set():
            frozen.set()
            time.sleep(1)

    def watch() -> None:
        while os.read(0, 4096):
            continue
        gone.set()
        # the main thread is stopped first, so that it cannot start a child meanwhile
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        frozen.wait(0.2)
        kill(os.environ.get(MARK, ""))
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    adopt_orphans()
    signal.signal(signal.SIGUSR1, freeze)
    threading.Thread(target=watch, daemon=True).start()
