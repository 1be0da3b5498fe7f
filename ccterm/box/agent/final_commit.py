"""Makes the commit of an agent's work in the agent's own box, once the agent is gone from it: the step commit is spared its box then.

Code, user and rules are those of the step, and nothing that the agent left there has a say: programs, libraries and settings belong to others
(`CLOSED` says that the whole image was looked through for that), the git directory lay beside the box in a directory closed to the agent, the
environment is made from nothing, and no other process is left. Wherever one of these cannot be said, or the agent did not end well, the step
does it as ever.
"""

import json
import os
import pwd
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ccterm.box import COMMIT_REPORT
from ccterm.box.agent.pipes import QueuedFrames
from ccterm.box.process import tree
from ccterm.box.process.loop import Want, turn

if TYPE_CHECKING:
    from ccterm.box.protocol import SuperviseRequest

CLOSED = "closed"
"""A file beside the programs of boxes: an agent can change nothing in this image that they use."""
LONGEST = 30.0
"""Seconds after which it is left to the step."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FIRST_VICTIM = "1000"


class FinalCommit:
    """The commit of one agent, if the host asked for it. To be made when the agent has been started: it need not wait for the imports."""

    def __init__(self, request: "SuperviseRequest") -> None:
        self._user = request["user"] if os.getuid() == 0 and request["user"] != "root" else None
        self._said = ""
        asked = request.get("commit")
        self._request = asked if asked and _prepared(asked["out"]) and self._user and _closed() else None
        if self._request:
            from ccterm.box.commit.commit import commit
            from ccterm.git.message import message_body

            self._commit, self._body_of = commit, message_body

    def hear(self, result: Mapping[str, Any]) -> None:
        """Take what the agent said at the end of a turn: the summary, if it was the last one."""
        said = result.get("result")
        self._said = said if isinstance(said, str) else ""

    def make(self, frames: QueuedFrames) -> bool:
        """Make it, all processes of the agent having been killed. Return whether its files are there."""
        try:
            return bool(self._request and self._said.strip() and tree.alone()) and self._succeeds(frames)
        except OSError:
            _print_traceback()
            return False

    def _succeeds(self, frames: QueuedFrames) -> bool:
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            os._exit(self._made(frames))
        os.close(write)
        end = _End(read)
        until = time.monotonic() + LONGEST
        while not end.come and time.monotonic() < until and not frames.gone:
            turn([frames, end], 0.5)
        os.close(read)
        if not end.come:
            os.kill(pid, signal.SIGKILL)
        made = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        tree.kill("")
        return made

    def _made(self, frames: QueuedFrames) -> int:
        """Do it as the agent's user; return an exit code."""
        assert self._request
        try:
            self._become_user(self._request["clean"], self._request["out"])
            body = self._body_of(self._said, self._request["body"])
            report = self._commit(frames, {**self._request, "body": body})
            with open(os.path.join(self._request["out"], COMMIT_REPORT), "w", encoding="ascii") as file:
                json.dump({"body": body, "report": report}, file)
        except BaseException:  # noqa: BLE001 - this process must not go on as the supervisor
            _print_traceback()
            return 1
        return 0

    def _become_user(self, *places: str) -> None:
        """Give up all that distinguishes this process from one that the step would have in its own box."""
        from ccterm.git.memory import limit_memory

        assert self._user
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(_FIRST_VICTIM)  # what an agent left in memory must not cost the supervisor its life
        entry = pwd.getpwnam(self._user)
        for place in places:
            _hand_over(place, entry)
            os.chmod(os.path.dirname(os.path.abspath(place)), 0o711)  # it was closed to the agent
        os.setgroups(os.getgrouplist(entry.pw_name, entry.pw_gid))
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        os.environ.clear()
        os.environ["PATH"] = _PATH
        limit_memory()


class _End:
    """Notices the end of a process by its end of a pipe."""

    def __init__(self, pipe: int) -> None:
        self._pipe, self.come = pipe, False

    def wants(self) -> Iterator[Want]:
        """Wait for it."""
        yield self._pipe, select.POLLIN, self._ended

    def _ended(self) -> None:
        self.come = True


def _prepared(out: str) -> bool:
    """Make an empty directory, which means that nothing was made; return whether it is there."""
    try:
        os.makedirs(out, exist_ok=True)
    except OSError:
        return False
    return True


def _hand_over(place: str, user: pwd.struct_passwd) -> None:
    """Give a user what root has made in a directory: checkpoints write into the same one."""
    os.chown(place, user.pw_uid, user.pw_gid)
    for at, directories, files in os.walk(place):
        for path in (os.path.join(at, name) for name in (*directories, *files)):
            if os.lstat(path).st_uid == 0:
                os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _closed() -> bool:
    return os.path.exists(os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), CLOSED))


def _print_traceback() -> None:
    import traceback  # deferred: every agent would wait for it

    traceback.print_exc()
