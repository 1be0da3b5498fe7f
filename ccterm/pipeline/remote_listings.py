"""What remotes list, and whether they would take a push, asked on the host: one answer serves all runs that were started before the question.

Whether a credential may push is told by the advertisement of `git-receive-pack`: reading proves nothing. It is asked before an agent starts.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import JsonValue

from ccterm.executors.temporary import temporary
from ccterm.git.git import GitError, git_failed
from ccterm.git.listing import RemoteRefs, read_listing, start_of
from ccterm.git.remote import LISTING_MEMORY, LISTING_SECONDS, Remote, too_many_refs
from ccterm.models import now
from ccterm.processes import CommandResult, run_command_async

if TYPE_CHECKING:
    from ccterm.pipeline.context import RemoteAccess

SHARED_SECONDS = 60.0
"""How long a listing serves runs that were waiting when it was made: others push, too."""
ELSEWHERE_SECONDS = 15.0
"""How long the host asks before a box is asked, where boxes are on another machine."""
PUSH_SECONDS = 30.0
"""How long a remote may take to say that it would take a push; one that does not say so is taken to."""
PROVEN_SECONDS = 600.0
"""How long a push that a remote took proves that it would take another one with the same credential."""
UNREACHABLE_SECONDS = 600.0
"""How long a remote that only boxes reach is not asked on the host again."""
LIMIT = 64 << 20
"""Longest listing that is read on the host, in bytes: about half a million refs."""
_ERRORS = 64 * 1024
_DEFINITE = ("auth", "not_found")
"""Reasons for which a box would fail, too."""


NO_PUSH = "no_push"
"""Reason of a run that is refused because its push would be."""
T = TypeVar("T")


@dataclass
class _Question(Generic[T]):
    """One question to a remote. begun: wall clock, compared with when runs were started. since: monotonic seconds."""

    task: "asyncio.Task[T]"
    begun: datetime = field(default_factory=now)
    since: float = field(default_factory=time.monotonic)
    waiting: int = 0


class SharedAnswers(Generic[T]):
    """The answers of remotes to one question, each shared by those who ask with the same credential."""

    def __init__(self, ask: "Callable[[RemoteAccess], Coroutine[None, None, T]]") -> None:
        self._ask = ask
        self._answers: dict[RemoteAccess, _Question[T]] = {}

    async def get(self, access: "RemoteAccess", started: datetime) -> T:
        """Return what a remote answers to a question that was asked after `started`. Raises what asking raises."""
        answer = self._answers.get(access)
        if answer is None or answer.begun < started or time.monotonic() - answer.since > SHARED_SECONDS:
            answer = self._answers[access] = _Question(asyncio.ensure_future(self._ask(access)))
        answer.waiting += 1
        try:
            found = await asyncio.shield(answer.task)
        except BaseException:
            self._forget(access, answer)  # a failure is not shared with those that come later
            raise
        else:
            asyncio.get_running_loop().call_later(SHARED_SECONDS, self._forget, access, answer)
            return found
        finally:
            answer.waiting -= 1
            if not answer.waiting:
                answer.task.cancel()  # unless it has ended, nobody waits for it any more

    def forget(self, url: str) -> None:
        """Forget the answers of a remote, whoever asked."""
        for each in [each for each in self._answers if each.host_url == url]:
            del self._answers[each]

    def _forget(self, access: "RemoteAccess", answer: _Question[T]) -> None:
        if self._answers.get(access) is answer:
            del self._answers[access]


class RemoteListings:
    """What all remotes answer that runs of this process use.

    seconds: how long a remote may take; by default that depends on where boxes are. limit: longest listing that is read here, in bytes.
    """

    def __init__(self, *, seconds: float | None = None, limit: int = LIMIT) -> None:
        self._seconds, self._limit = seconds, limit
        self._refs = SharedAnswers(self._list)
        self._pushes = SharedAnswers(self._rehearse)
        self._took: dict[RemoteAccess, float] = {}
        """When a remote took a push, in monotonic seconds."""
        self._unreachable: dict[str, float] = {}
        """Address -> when the host could not reach it, in monotonic seconds."""

    async def start(
        self, access: "RemoteAccess", branch: str, base: str | None, *, started: datetime, to_push: bool = False
    ) -> Mapping[str, JsonValue] | None:
        """Return what the program `resolve` would report; None where a box has to be asked.

        started: when the run was started; what the remote held before does not count. to_push: whether it is also asked if it would take a
        push, and a refusal is the report.
        """
        if self._is_unreachable(access):
            return None
        if not to_push:
            return await self._start(access, branch, base, started)
        report, refusal = await asyncio.gather(self._start(access, branch, base, started), self.push_refusal(access, started=started))
        if refusal and (report is None or report["ok"]):
            return {"ok": False, "reason": NO_PUSH, "detail": f"the remote would refuse the push: {refusal}"}
        return report

    async def push_refusal(self, access: "RemoteAccess", *, started: datetime) -> str:
        """Return why a remote takes no push with this credential; "" where it does, or where it does not tell for sure."""
        if time.monotonic() - self._took.get(access, -PROVEN_SECONDS) < PROVEN_SECONDS:
            return ""
        try:
            await self._pushes.get(access, started)
        except GitError as error:
            return error.detail if error.reason in _DEFINITE else ""
        except OSError:
            pass
        return ""

    async def refs(self, access: "RemoteAccess") -> RemoteRefs:
        """Return what a remote lists, or listed a short while ago. Raises GitError and OSError."""
        return await self._refs.get(access, now() - timedelta(seconds=SHARED_SECONDS))

    def pushed(self, access: "RemoteAccess", *, taken: bool = True) -> None:
        """Forget what a remote listed: it was pushed to. taken: whether it took the push."""
        self._refs.forget(access.host_url)
        if taken:
            self._took[access] = time.monotonic()
        else:
            self._took.pop(access, None)

    async def _start(self, access: "RemoteAccess", branch: str, base: str | None, started: datetime) -> Mapping[str, JsonValue] | None:
        try:
            start = start_of(await self._refs.get(access, started), branch, base)
        except GitError as error:
            if self._box_knows_better(access, error):
                return None
            return {"ok": False, "reason": error.reason, "detail": error.detail}
        except OSError:  # the host has no git, or no room for a file
            return None
        return {"ok": True, **start._asdict()}

    def _is_unreachable(self, access: "RemoteAccess") -> bool:
        return time.monotonic() - self._unreachable.get(access.host_url, -UNREACHABLE_SECONDS) < UNREACHABLE_SECONDS

    def _box_knows_better(self, access: "RemoteAccess", error: GitError) -> bool:
        if error.reason == "size":
            return True
        if not access.elsewhere or error.reason in (*_DEFINITE, "no_base", "name", "refs"):
            return False
        self._unreachable[access.host_url] = time.monotonic()
        return True

    async def _list(self, access: "RemoteAccess") -> RemoteRefs:
        """Ask a remote what it has. Raises GitError and OSError."""
        with temporary("git") as directory:
            remote = access.on_host(str(directory))
            answer = await self._ask(access, remote, None, remote.listing, LISTING_SECONDS)
        return await asyncio.to_thread(read_listing, answer.output)

    async def _rehearse(self, access: "RemoteAccess") -> None:
        """Ask a remote whether it would take a push; from an empty repository, so that nothing could be pushed. Raises GitError and OSError."""
        with temporary("git") as directory:
            remote = access.on_host(str(directory))
            if remote.protocol == "file":
                return
            empty = await asyncio.to_thread(_empty_repository, directory)
            await self._ask(access, remote, str(empty), remote.rehearsal, PUSH_SECONDS)

    async def _ask(
        self, access: "RemoteAccess", remote: Remote, directory: str | None, question: Sequence[str], most: float
    ) -> CommandResult:
        """Ask with the credential of one run and no configuration but ours. directory: a git directory. most: seconds.

        Raises GitError and OSError.
        """
        seconds = self._seconds or (ELSEWHERE_SECONDS if access.elsewhere else most)
        argv, env = await asyncio.to_thread(
            lambda: remote.git(directory).command(*question, memory=LISTING_MEMORY)
        )  # git may have to tell its version
        try:
            answer = await run_command_async(argv, env=env, seconds=seconds, limit=self._limit, errors=_ERRORS, stop_at_limit=True)
        except TimeoutError as error:
            raise GitError("network", f"the remote gave no answer within {seconds:g} s") from error
        if answer.cut:
            raise GitError("size", f"the remote lists more than {self._limit >> 20} MiB of refs")
        if answer.code:
            failed = git_failed(question, answer.code, answer.errors.decode("utf-8", "replace"))
            raise too_many_refs(failed) if failed.reason == "memory" else failed
        return answer


def _empty_repository(directory: Path) -> Path:
    """Return a git directory without a commit, made without a process."""
    for name in ("objects", "refs"):
        (directory / "empty" / name).mkdir(parents=True)
    (directory / "empty" / "HEAD").write_text("ref: refs/heads/main\n")
    return directory / "empty"
