"""Kills the process tree of a box from outside, when the program in it no longer can."""

import contextlib
import os
import signal
import time

import psutil

from ccterm.git.types import MARK

_EMPTY_LISTINGS = 2
"""Consecutive empty listings required: a process may fork while one is being made."""


def kill_tree(mark: str, leader: int | None, seconds: float = 1.0) -> None:
    """Kill every process that carries the mark, and the leader with its descendants. Give up after `seconds`.

    Whole process groups are killed, because the kernel does that atomically: no process can escape by forking.
    """
    end, quiet = time.monotonic() + seconds, 0
    while quiet < _EMPTY_LISTINGS and time.monotonic() < end:
        alive = _members(mark, leader)
        quiet = 0 if alive else quiet + 1
        for group in {_group(process) for process in alive} - {0, os.getpgrp()}:
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGKILL)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(0.005)


def _group(process: psutil.Process) -> int:
    """Return the group of a process, or 0 when the process is gone."""
    try:
        return os.getpgid(process.pid) if process.is_running() else 0
    except (OSError, psutil.Error):
        return 0


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
        return bool(mark) and process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
