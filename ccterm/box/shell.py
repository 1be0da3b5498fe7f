"""Runs a user's command in a tree: setup, or verify, for which the new commit is checked out over the tree first."""

import shutil
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ccterm.box.agent.pipes import Outlet, QueuedFrames, drain
from ccterm.box.frames import carry_out_with
from ccterm.box.network.box_network import BoxNetwork, NotClosed
from ccterm.box.process import child, tree
from ccterm.box.process.loop import PollSource, Signals, turn
from ccterm.git.git import GitError

if TYPE_CHECKING:
    from ccterm.box.protocol import ShellReport, ShellRequest

HELD_OPEN = 5.0
"""Seconds to read on after the command ended while another process still holds its output open."""
TAIL = 4096
"""Characters of output in the report."""


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
        """Return it as text."""
        return "".join(self._lines)[-TAIL:]


def shell(frames: QueuedFrames, request: "ShellRequest") -> "ShellReport":
    """Carry out the request."""
    mark = child.mark_of(request)
    try:
        network = BoxNetwork(frames, request.get("network"), child.environment(request["env"], mark), mark)
        if user := request.get("user"):  # before any program of the repository runs, as which nothing is root
            child.become_user(user)
    except (NotClosed, OSError, child.StartError) as error:
        return {"ok": False, "reason": "network", "detail": str(error)}
    overlay, commit = request.get("overlay"), request.get("commit")
    try:
        if overlay and commit:
            from ccterm.box.overlay import lay_over  # deferred: setup lays nothing over

            lay_over(overlay, request["cwd"], commit, request.get("base"))
    except GitError as error:
        return {"ok": False, "reason": "overlay", "detail": error.detail}
    run = partial(_run, frames, request, network, network.environment(child.environment(request["env"], mark)), mark)
    try:
        return _recorded(run, frames, request["cwd"], record) if (record := request.get("record")) else run()
    except child.StartError as error:
        return {"ok": False, "reason": "exit", "detail": error.detail}


def _recorded(run: "Callable[[], ShellReport]", frames: QueuedFrames, tree: str, to: str) -> "ShellReport":
    """Run the command, and record what it left in the tree."""
    from ccterm.box.setup_record import Recording  # deferred: verify records nothing

    recording = Recording(tree)
    report = run()
    if report["ok"]:
        try:
            recording.finish().write(to)
        except (GitError, OSError) as error:
            frames.note(f"what setup left cannot be told from the agent's work: {error}")
    return report


def _run(frames: QueuedFrames, request: "ShellRequest", network: BoxNetwork, env: dict[str, str], mark: str) -> "ShellReport":
    tail, signals = Tail(), Signals()
    argv = ["bash" if shutil.which("bash") else "sh", "-c", request["command"]]
    started = child.start(argv, cwd=request["cwd"], env=env, mark=mark, stdin=False)
    outlets = (Outlet(started.stdout, 1, frames, tail), Outlet(started.stderr, 2, frames, tail))
    sources: list[PollSource] = [signals, frames, network, *outlets]
    end = time.monotonic() + request["timeout_seconds"]
    while (code := started.process.poll()) is None and time.monotonic() < end and not (signals.asked or frames.gone):
        turn(sources, min(0.5, end - time.monotonic()))
        tree.reap(keep=started.process.pid)
    network.close()
    tree.kill(mark)
    drain(frames, outlets, HELD_OPEN)
    return _report(code, tail.text(), request["timeout_seconds"])


def _report(code: int | None, tail: str, timeout: float) -> "ShellReport":
    if code is None:
        detail = f"the command did not finish within {timeout:g} s"
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
