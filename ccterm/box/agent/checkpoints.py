"""Makes checkpoints of the agent beside the loop that serves it: each in a process of its own, whose lines become frames.

There is one at each end of a turn; not where the agent exits right then after little work, as the commit that follows brings that to the
host as soon. Others come between as often as was asked for, while all of them together took no more than a hundredth of a processor. An
agent never waits for one: its own output goes first.
"""

import base64
import contextlib
import json
import os
import pwd
import select
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ccterm.box.agent.pipes import QueuedFrames
from ccterm.box.process import child
from ccterm.box.process.loop import Want, turn

if TYPE_CHECKING:
    from ccterm.box.protocol import CheckpointRequest, SuperviseRequest

SHARE = 0.01
"""How much of one processor checkpoints may have taken before another one is made within a turn."""
FIRST_COST = 0.2
COST_OF_INDEX = 0.25e-6
"""Seconds of processor time that the first one is assumed to take, at least, and more for each byte of the tree's index."""
LONGEST = 120.0
"""Seconds after which one is given up. The agent can hold up the program that reads its tree."""
LAST_SECONDS = 5.0
"""Seconds that the last one may take once the agent has ended."""
LAST_SHARE = 0.02
"""How much of the work that it holds the last one may take while the agent's end waits for it."""
SOON = 0.3
"""Seconds within which an agent usually exits after its last turn; the commit that follows brings its work to the host as early."""
_WAITING = 64 * 1024
"""Bytes of frames that may wait for the host when a line of a checkpoint joins them: the agent's own lines must not wait for it."""
_CHUNK = 64 * 1024


class Checkpoints:
    """The checkpoints of one agent, if the host asked for any. env: that of the agent."""

    def __init__(self, frames: QueuedFrames, request: "SuperviseRequest", agent: child.Child, began: float) -> None:
        self._frames, self._mark = frames, agent.mark
        self._asked = request.get("checkpoint")
        self._process: child.Child | None = None
        self._rest = b""
        self._started = self._last_start = time.monotonic()
        self._cost, self._spent = _first_cost(request["cwd"]), 0.0
        """Processor time, in seconds, that the next one is assumed to take, and that all took together."""
        self._number = self._last = 0
        self._again = self._failed = self._looked_for = False
        self._due: float | None = None
        """When to make the one for the agent's last turn, if the agent still runs then."""
        if self._asked:
            self._given: CheckpointRequest = {
                **self._asked,
                "tree": request["cwd"],
                "home": agent.env.get("HOME", "."),
                "keep": request["keep"],
                "user": _number_of(request["user"]),
                "mark": agent.mark,
                "began": began,
            }
            self._seconds = self._asked["seconds"]

    @property
    def next_moment(self) -> float | None:
        """When `advance` should be called next, or None."""
        if not self._asked:
            return None
        if self._process:
            return self._last_start + LONGEST
        between = max(self._last_start + self._seconds, self._started + (self._spent + self._cost) / SHARE)
        return between if self._due is None else min(between, self._due)

    def advance(self) -> None:
        """Begin one if it is time, and give up one that takes too long."""
        moment = self.next_moment
        if moment is None or time.monotonic() < moment:
            return
        if self._process:
            self._give_up()
        else:
            self._begin()

    def turn_over(self, *, ending: bool) -> None:
        """Make one now that the agent ended a turn, after the one that is being made.

        ending: whether it should exit by itself now. After little work, the one for that turn waits until it has not.
        """
        now = time.monotonic()
        if ending and self._cost > (now - self._last_start) * LAST_SHARE:
            self._due = now + SOON
        elif self._process:
            self._again = True
        elif self._asked:
            self._begin()

    def look(self) -> None:
        """Make one now, for somebody who looks at the work, and say when it is there."""
        self._looked_for = True
        if self._process is None and self._asked:
            self._begin()
        elif not self._asked:
            self._say_looked()

    def _say_looked(self) -> None:
        if self._looked_for:
            self._looked_for = False
            self._frames.note("", what="looked")

    def finish(self) -> None:
        """Let what the last turn asked for come to its end, the agent being gone."""
        end = time.monotonic() + LAST_SECONDS
        while self._process and time.monotonic() < end and not self._frames.gone:
            turn([self._frames, self], 0.5)
        self._again = False
        self._give_up()

    def wants(self) -> Iterator[Want]:
        """Wait for lines, unless the host is slow."""
        if self._process and self._frames.waiting <= _WAITING:
            yield self._process.stdout.fileno(), select.POLLIN, self._pull

    def _begin(self) -> None:
        assert self._asked
        self._number += 1
        self._failed, self._due = False, None
        self._last_start, self._rest = time.monotonic(), b""
        path = os.path.join(os.path.dirname(self._given["commit"]["clean"]), "request.json")
        with open(path, "w", encoding="ascii") as file:
            json.dump({**self._given, "number": self._number, "last": self._last}, file)
        env = {name: value for name, value in os.environ.items() if name in ("PATH", "TMPDIR", "HOME")}
        try:
            self._process = child.start(["@box", "checkpoint", path], cwd=".", env=env, mark=self._mark, stdin=False)
            self._process.stderr.close()
        except child.StartError as error:
            self._note(error.detail)

    def _pull(self) -> None:
        assert self._process
        data = os.read(self._process.stdout.fileno(), _CHUNK)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            what, _, text = line.decode("ascii").partition(" ")
            self._line(what, text)
        if not data:
            self._end()

    def _line(self, what: str, text: str) -> None:
        if what == "failed":
            self._note(base64.b64decode(text).decode("utf-8", "replace"))
            return
        if what == "spent":
            cost = float(base64.b64decode(text))
            self._spent += cost
            self._cost = max(self._cost, cost) if self._failed else cost
            return
        if what == "whole":
            self._last = self._number
        parts = list(unbroken(text, self._frames.hidden))
        for part in parts[:-1]:
            self._frames.checkpoint(self._number, what, part, more=True)
        self._frames.checkpoint(self._number, what, parts[-1])

    def _end(self) -> None:
        if self._process:
            self._process.stdout.close()
            self._process = None
            self._say_looked()
        if self._again:
            self._again = False
            self._begin()

    def _give_up(self) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.process.pid, 9)
            self._spent += self._cost
            self._cost *= 2
            self._end()

    def _note(self, why: str) -> None:
        self._failed = True
        self._cost *= 2  # what fails is not tried again and again
        self._frames.note(f"no checkpoint could be made: {why}")


def _first_cost(tree: str) -> float:
    try:
        return FIRST_COST + COST_OF_INDEX * os.stat(os.path.join(tree, ".git", "index"), follow_symlinks=False).st_size
    except OSError:
        return FIRST_COST


def close_to_the_agent(request: "SuperviseRequest") -> None:
    """Close the directory of the clean git directory to everybody but this user, before the agent starts. Raises OSError."""
    asked = request.get("checkpoint")
    if commit := asked["commit"] if asked else request.get("commit"):
        os.chmod(os.path.dirname(commit["clean"]), 0o700)


def unbroken(text: str, hidden: Sequence[str]) -> Iterator[str]:
    """Yield a base64 text in parts, in none of which one of the hidden values occurs by chance and would be masked."""
    found = ((text.find(value), value) for value in hidden)
    cuts = sorted(at + len(value) // 2 for at, value in found if at >= 0)
    if not cuts:
        yield text
        return
    yield text[: cuts[0]]
    yield from unbroken(text[cuts[0] :], hidden)


def _number_of(user: str | None) -> str | None:
    """Return a user's id in digits: the name may be known to this process alone."""
    return str(pwd.getpwnam(user).pw_uid) if user else None
