"""Kills the process tree of a box from outside, for when the program inside cannot do it any more."""

import contextlib
import signal
import time

import psutil

from ccterm.inside.protocol import MARK


def kill_tree(mark: str, leader: int | None, seconds: float = 1.0) -> list[int]:
    """Kill every process that carries the mark, and the leader with all below it; return the pids that are still there after `seconds`.

    Everything is stopped before anything is killed: a stopped process cannot fork away.
    """
    end = time.monotonic() + seconds
    while True:
        _freeze(mark, leader, end)
        alive = _members(mark, leader)
        for process in alive:
            _send(process, signal.SIGKILL)
        if not alive or time.monotonic() > end:
            return [process.pid for process in alive]
        time.sleep(0.005)


def _freeze(mark: str, leader: int | None, end: float) -> None:
    stopped: set[psutil.Process] = set()
    while time.monotonic() < end:
        fresh = _members(mark, leader) - stopped
        if not fresh:
            return
        for process in fresh:
            _send(process, signal.SIGSTOP)
        stopped |= fresh


def _members(mark: str, leader: int | None) -> set[psutil.Process]:
    found = {process for process in psutil.process_iter() if _carries(process, mark)}
    if leader is not None:
        with contextlib.suppress(psutil.Error):
            head = psutil.Process(leader)
            if _carries(head, mark):
                found |= {head, *head.children(recursive=True)}
    return {process for process in found if _lives(process)}


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)
