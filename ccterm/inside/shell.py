"""Runs a user's command in a tree: setup, or verify with the new commit laid over the tree first."""

import shutil
import time
from collections import deque

from ccterm.inside import child, tree
from ccterm.inside.git import GitError
from ccterm.inside.loop import Signals, Source, turn
from ccterm.inside.overlay import lay_over
from ccterm.inside.pipes import Outlet, QueuedFrames, drain
from ccterm.inside.protocol import ShellReport, ShellRequest, carry_out_with

HELD_OPEN = 5.0
"""Seconds that we read on after the command ended while something still holds its output open."""
TAIL = 4096
"""Characters of output that go into the report."""


class Tail:
    """The end of what was printed."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._length = 0

    def __call__(self, text: str, part: bool) -> None:
        """Take one line of output, or a part of one."""
        self._lines.append(text[-TAIL:] if part else f"{text[-TAIL:]}\n")
        self._length += len(self._lines[-1])
        while self._length - len(self._lines[0]) > TAIL:
            self._length -= len(self._lines.popleft())

    def text(self) -> str:
        """Return it."""
        return "".join(self._lines)[-TAIL:]


def shell(frames: QueuedFrames, request: ShellRequest) -> ShellReport:
    """Carry out the request."""
    overlay, commit = request.get("overlay"), request.get("commit")
    try:
        if overlay and commit:
            lay_over(overlay, request["cwd"], commit, request.get("base"))
        return _run(frames, request)
    except GitError as error:
        return {"ok": False, "reason": "overlay", "detail": error.detail}
    except child.StartError as error:
        return {"ok": False, "reason": "exit", "detail": error.detail}


def _run(frames: QueuedFrames, request: ShellRequest) -> ShellReport:
    tail, signals, mark = Tail(), Signals(), child.mark_of(request)
    argv = ["bash" if shutil.which("bash") else "sh", "-c", request["command"]]
    started = child.start(argv, cwd=request["cwd"], env=child.environment(request["env"], mark), mark=mark, talk=False)
    outlets = (Outlet(started.stdout, 1, frames, tail), Outlet(started.stderr, 2, frames, tail))
    sources: list[Source] = [signals, frames, *outlets]
    end = time.monotonic() + request["timeout_seconds"]
    while (code := started.process.poll()) is None and time.monotonic() < end and not (signals.asked or frames.gone):
        turn(sources, min(0.5, end - time.monotonic()))
        tree.reap(keep=started.process.pid)
    tree.kill(mark)
    drain(frames, outlets, HELD_OPEN)
    return _report(code, tail.text(), request["timeout_seconds"])


def _report(code: int | None, tail: str, timeout: float) -> ShellReport:
    if code is None:
        detail = f"the command did not end within {timeout:g} s"
        return {"ok": False, "reason": "timeout", "detail": detail, "exit": None, "signal": None, "tail": tail}
    if code < 0:
        return {"ok": False, "reason": "signal", "detail": f"signal {-code} ended the command", "exit": None, "signal": -code, "tail": tail}
    report: ShellReport = {"ok": code == 0, "exit": code, "signal": None, "tail": tail}
    if code:
        report |= {"reason": "exit", "detail": f"the command ended with exit code {code}"}
    return report


def main() -> None:
    """Run as a step program."""
    frames = QueuedFrames()
    carry_out_with(frames, shell)
    frames.finish()
