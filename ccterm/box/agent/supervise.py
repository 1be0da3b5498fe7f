"""Runs an agent to its end: prompt and orders in, both streams out as frames, every limit enforced, no process of it left afterwards."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ccterm.box.agent.checkpoints import Checkpoints, close_to_the_agent
from ccterm.box.agent.control import Orders
from ccterm.box.agent.final_commit import FinalCommit
from ccterm.box.agent.permissions import PermissionRequests
from ccterm.box.agent.pipes import Inlet, Outlet, QueuedFrames, drain
from ccterm.box.agent.repository import NOTHING, Admission, admit
from ccterm.box.agent.termination import SECONDS, TerminationSequence
from ccterm.box.agent.turns import MessageReader, Turns
from ccterm.box.frames import carry_out_with
from ccterm.box.network.box_network import BoxNetwork, NotClosed
from ccterm.box.process import child, tree
from ccterm.box.process.loop import PollSource, Signals, turn

if TYPE_CHECKING:
    from ccterm.box.protocol import Order, StoppedBy, SuperviseReport, SuperviseRequest

HELD_OPEN = 5.0
"""Seconds to read on after the agent ended while another process still holds its output open."""
ENDING = 60.0
"""Seconds beyond the time limit for an agent that is ending by itself; `Turns.overdue` bounds that too."""
TICK = 0.5
CLOCK_STEP = 1.0
"""Seconds by which the times of files may be behind the clock; a file system steps its own more coarsely."""

_NOTES: "dict[StoppedBy, str]" = {
    "asked": "stopping the agent",
    "now": "killing the agent",
    "timeout": "the time limit is reached, stopping the agent",
    "stalled": "the agent was silent for too long, stopping it",
    "host": "the host is gone, killing the agent",
}


class Supervisor:
    """One agent, from start to report."""

    def __init__(
        self,
        frames: QueuedFrames,
        request: "SuperviseRequest",
        orders: Orders,
        agent: child.Child,
        network: BoxNetwork,
        admission: Admission = NOTHING,
        began: float = 0.0,
    ) -> None:
        self._frames, self._request, self._orders, self._agent, self._network = frames, request, orders, agent, network
        self._signals = Signals()
        self._inlet = Inlet(agent.stdin)
        self._turns = Turns(
            self._inlet,
            frames,
            hold=request["hold"],
            hold_seconds=request["hold_seconds"],
            grace_seconds=request.get("grace_seconds", 15.0),
            worded=admission.renamed,
        )
        self._permissions = PermissionRequests(self._turns.send, frames, seconds=request["hold_seconds"])
        self._outlets = (
            Outlet(agent.stdout, 1, frames, self._heard(MessageReader(self._hear))),
            Outlet(agent.stderr, 2, frames, self._heard()),
        )
        self._checkpoints = Checkpoints(frames, request, agent, began)
        self._begin = self._last_line = time.monotonic()
        self._wall = self._begin + request["wall_seconds"]
        self._termination = TerminationSequence(agent.process, self._interrupt, agent.mark, request.get("termination_seconds", SECONDS))
        self._stopped_by: StoppedBy = ""
        self._alive = 0
        self._login_awaited = False
        from ccterm.box.agent.keep import keep_files  # deferred until the agent is starting up: it should not wait for this

        self._keep_files = keep_files
        self._final = FinalCommit(request)

    def run(self) -> "SuperviseReport":
        """Serve everything until the agent has ended, then clean up."""
        self._turns.begin(self._request["prompt"])
        self._orders.obey = self._obey
        sources: list[PollSource] = [
            self._signals,
            self._orders,
            self._frames,
            self._inlet,
            *self._outlets,
            self._checkpoints,
            self._network,
        ]
        while self._agent.process.poll() is None and not self._termination.spent:
            turn(sources, self._pause())
            self._enforce_limits()
            self._checkpoints.advance()
            tree.reap(keep=self._agent.process.pid)
        self._clean_up()
        report = self._report()
        if report["exit"] == 0 and not self._stopped_by and self._final.make(self._frames):
            report["committed"] = True
        return report

    def _pause(self) -> float:
        known = (each.next_moment for each in (self._turns, self._permissions, self._termination, self._checkpoints))
        moments = [moment for moment in known if moment is not None]
        limits = (self._wall, self._last_line + self._request["silence_seconds"])
        return min(TICK, max(0.01, min(*moments, *limits) - time.monotonic()))

    def _obey(self, order: "Order") -> None:
        simple: dict[str, Callable[[], None]] = {
            "hold": self._turns.hold,
            "release": self._turns.release,
            "interrupt": self._turns.interrupt,
            "end": self._turns.end,
            "stop": lambda: self._stop("asked"),
            "kill": lambda: self._kill("now"),
            "checkpoint": self._checkpoints.look,
            "reconnect": self._network.reconnect,
            "login_awaited": lambda: self._await_login(True),
            "login_settled": lambda: self._await_login(False),
        }
        match order:
            case {"do": "say", "text": text, "request": message}:
                self._turns.say(text, message)
            case {"do": "allow" | "always" as how, "request": request}:
                self._permissions.allow(request, always=how == "always")
            case {"do": "deny", "request": request, "text": text}:
                self._permissions.deny(request, text)
            case {"do": name} if name in simple:
                simple[name]()

    def _await_login(self, awaited: bool) -> None:
        self._login_awaited = awaited

    def _enforce_limits(self) -> None:
        now = time.monotonic()
        if self._turns.waiting or self._permissions.waiting or self._login_awaited or any(outlet.held_up for outlet in self._outlets):
            self._last_line = now  # the agent is not what we are waiting for
        if self._signals.asked or self._frames.gone:
            self._kill("host")
        elif now >= self._wall and self._turns.waiting:
            self._turns.end()
        elif now >= self._wall + (ENDING if self._turns.ending else 0):
            self._stop("timeout")
        elif now - self._last_line >= self._request["silence_seconds"] and not self._turns.ending:
            self._stop("stalled")
        self._permissions.expire()
        if self._turns.overdue():
            self._termination.begin(politely=False)
        self._termination.advance()

    def _stop(self, why: "StoppedBy") -> None:
        if not self._termination.begun:
            self._stopped_by = why
            self._frames.note(_NOTES[why], what="stopping")
            self._termination.begin()

    def _kill(self, why: "StoppedBy") -> None:
        self._stopped_by = why
        self._frames.note(_NOTES[why], what="stopping")
        self._termination.kill()

    def _hear(self, message: Mapping[str, Any]) -> None:
        ended = message.get("type") == "result"
        if ended:
            self._orders.obey_arrived()  # what was ordered before the result applies to it, whichever is read first
        self._turns.hear(message)
        self._permissions.hear(message)
        if ended:
            self._final.hear(message)
            self._checkpoints.turn_over(ending=self._turns.ending)

    def _interrupt(self) -> None:
        self._turns.interrupt()
        self._turns.end()

    def _clean_up(self) -> None:
        if not self._stopped_by:
            self._checkpoints.finish()
        self._network.close()
        left = tree.kill(self._agent.mark)
        if left:
            self._alive = 0 if self._request["user"] else len(left)
            self._frames.note(f"{len(left)} processes of the agent cannot be killed: {left[:20]}")
        drain(self._frames, self._outlets, HELD_OPEN)
        for order in self._orders.close():
            if order["do"] == "say":
                self._turns.say(order["text"], order["request"])
        self._turns.finish()
        self._permissions.finish()
        self._keep_files(self._agent.env.get("HOME", "."), self._request["keep"])
        if self._request["user"]:  # in a container, of which only the tree is kept
            self._bring_worktrees()

    def _bring_worktrees(self) -> None:
        from ccterm.box.agent.worktrees import bring_worktrees  # deferred: nobody waits for it before the agent has ended

        try:
            told = bring_worktrees(self._request["cwd"])
        except OSError as error:
            told = [f"the agent's worktrees cannot be read: {error.strerror}"]
        for text in told:
            self._frames.note(text)

    def _report(self) -> "SuperviseReport":
        code = self._agent.process.poll()
        ended = code is not None and code >= 0
        report: SuperviseReport = {
            "ok": True,
            "exit": code if ended else None,
            "signal": -code if code is not None and code < 0 else None,
            "stopped_by": self._stopped_by,
            "seconds": round(time.monotonic() - self._begin, 3),
        }
        if self._alive:
            report["alive"] = self._alive
        return report

    def _heard(self, reader: MessageReader | None = None) -> Callable[[str, bool], None]:
        def on_line(text: str, part: bool) -> None:
            self._last_line = time.monotonic()
            if reader:
                reader(text, part)

        return on_line


def supervise(frames: QueuedFrames, request: "SuperviseRequest") -> "SuperviseReport":
    """Carry out the request."""
    try:
        orders = Orders(request["control"])
    except OSError as error:
        return {"ok": False, "reason": "control", "detail": f"the control socket cannot be reached: {error.strerror}"}
    mark = child.mark_of(request)
    if request["home"]:
        os.makedirs(request["home"], mode=0o700, exist_ok=True)
    env = child.environment(request["env"], mark, request["home"])
    try:
        network = BoxNetwork(frames, request.get("network"), env, mark)  # before any program of the repository or the agent runs
    except (NotClosed, OSError) as error:
        return {"ok": False, "reason": "network", "detail": str(error)}
    return _supervise(frames, request, orders, network, network.environment(env), mark)


def _supervise(
    frames: QueuedFrames, request: "SuperviseRequest", orders: Orders, network: BoxNetwork, env: dict[str, str], mark: str
) -> "SuperviseReport":
    if branch := request.get("branch"):
        trouble = name_branch(request["cwd"], branch, env=env, mark=mark, user=request["user"])
        if trouble:
            frames.note(f"the agent's tree is not on branch {branch}: {trouble}")
    try:
        admission = admit(request["cwd"], repository) if (repository := request.get("repository")) else NOTHING
    except OSError as error:
        return {"ok": False, "reason": "not_executable", "detail": f"the repository's instructions cannot be copied: {error.strerror}"}
    if admission.note:
        frames.note(admission.note)
    began = time.time() - CLOCK_STEP
    argv = [network.placed(argument) for argument in request["argv"]]
    try:
        close_to_the_agent(request)
        agent = child.start([*argv, *admission.args], cwd=request["cwd"], env=env, mark=mark, user=request["user"])
    except child.StartError as error:
        return {"ok": False, "reason": error.reason, "detail": error.detail}
    return Supervisor(frames, request, orders, agent, network, admission, began).run()


_RENAME = 'git branch -M "$1" || git symbolic-ref HEAD "refs/heads/$1"'
"""The second command is for a repository without a commit, whose branch an older git cannot rename."""
_SECONDS = 20.0


def name_branch(tree: str, name: str, *, env: Mapping[str, str], mark: str, user: str | None) -> str:
    """Rename the current branch, as the agent's own user. Return why that failed, or ""."""
    try:
        command = ["sh", "-c", _RENAME, "sh", name]
        git = child.start(command, cwd=tree, env={**env, "GIT_CONFIG_GLOBAL": "/dev/null"}, mark=mark, user=user, stdin=False)
        _, stderr = git.process.communicate(timeout=_SECONDS)
    except (child.StartError, subprocess.TimeoutExpired) as error:
        return str(error)
    return stderr.decode("utf-8", "replace").strip() if git.process.returncode else ""


def main() -> None:
    """Run as a step program."""
    frames = QueuedFrames()
    carry_out_with(frames, supervise)
    frames.finish()
