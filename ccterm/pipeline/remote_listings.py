"""What remotes list, asked for on the host: one listing serves all runs that were started before it was made."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import JsonValue

from ccterm.executors.temporary import temporary
from ccterm.git.git import GitError, git_failed
from ccterm.git.listing import RemoteRefs, read_listing, start_of
from ccterm.git.remote import LISTING_SECONDS
from ccterm.models import now
from ccterm.processes import run_command_async

if TYPE_CHECKING:
    from ccterm.pipeline.context import RemoteAccess

SHARED_SECONDS = 60.0
"""How long a listing serves runs that were waiting when it was made: others push, too."""
ELSEWHERE_SECONDS = 15.0
"""How long the host asks before a box is asked, where boxes are on another machine."""
UNREACHABLE_SECONDS = 600.0
"""How long a remote that only boxes reach is not asked on the host again."""
LIMIT = 64 << 20
"""Longest listing that is read on the host, in bytes: about half a million refs."""
_ERRORS = 64 * 1024
_DEFINITE = ("auth", "not_found")
"""Reasons for which a box would fail, too."""


@dataclass
class _Listing:
    """One question to a remote. begun: wall clock, compared with when runs were started. since: monotonic seconds."""

    answer: "asyncio.Task[RemoteRefs]"
    begun: datetime = field(default_factory=now)
    since: float = field(default_factory=time.monotonic)
    waiting: int = 0


class RemoteListings:
    """The listings of all remotes that runs of this process use.

    seconds: how long a remote may take; by default that depends on where boxes are. limit: longest listing that is read here, in bytes.
    """

    def __init__(self, *, seconds: float | None = None, limit: int = LIMIT) -> None:
        self._seconds, self._limit = seconds, limit
        self._listings: dict[RemoteAccess, _Listing] = {}
        self._unreachable: dict[str, float] = {}
        """Address -> when the host could not reach it, in monotonic seconds."""

    async def start(self, access: "RemoteAccess", branch: str, base: str | None, *, started: datetime) -> Mapping[str, JsonValue] | None:
        """Return what the program `resolve` would report; None where a box has to be asked.

        started: when the run was started; what the remote held before does not count.
        """
        if time.monotonic() - self._unreachable.get(access.host_url, -UNREACHABLE_SECONDS) < UNREACHABLE_SECONDS:
            return None
        try:
            start = start_of(await self._refs(access, started), branch, base)
        except GitError as error:
            if self._box_knows_better(access, error):
                return None
            return {"ok": False, "reason": error.reason, "detail": error.detail}
        except OSError:  # the host has no git, or no room for a file
            return None
        return {"ok": True, **start._asdict()}

    def pushed(self, access: "RemoteAccess") -> None:
        """Forget what a remote listed: it was pushed to."""
        for each in [each for each in self._listings if each.host_url == access.host_url]:
            del self._listings[each]

    def _box_knows_better(self, access: "RemoteAccess", error: GitError) -> bool:
        if error.reason == "size":
            return True
        if not access.elsewhere or error.reason in (*_DEFINITE, "no_base", "name"):
            return False
        self._unreachable[access.host_url] = time.monotonic()
        return True

    async def _refs(self, access: "RemoteAccess", started: datetime) -> RemoteRefs:
        """Return what the remote lists, from a question that was asked after `started`. Raises GitError and OSError."""
        listing = self._listings.get(access)
        if listing is None or listing.begun < started or time.monotonic() - listing.since > SHARED_SECONDS:
            listing = self._listings[access] = _Listing(asyncio.ensure_future(self._ask(access)))
        listing.waiting += 1
        try:
            refs = await asyncio.shield(listing.answer)
        except BaseException:
            self._forget(access, listing)  # a failure is not shared with those that come later
            raise
        else:
            asyncio.get_running_loop().call_later(SHARED_SECONDS, self._forget, access, listing)
            return refs
        finally:
            listing.waiting -= 1
            if not listing.waiting:
                listing.answer.cancel()  # unless it has ended, nobody waits for it any more

    async def _ask(self, access: "RemoteAccess") -> RemoteRefs:
        """Ask a remote, with the credential of one run and no configuration but ours. Raises GitError and OSError."""
        seconds = self._seconds or (ELSEWHERE_SECONDS if access.elsewhere else LISTING_SECONDS)
        with temporary("git") as directory:
            remote = access.on_host(str(directory))
            argv, env = await asyncio.to_thread(lambda: remote.git().command(*remote.listing))  # git may have to tell its version
            try:
                answer = await run_command_async(argv, env=env, seconds=seconds, limit=self._limit, errors=_ERRORS)
            except TimeoutError as error:
                raise GitError("network", f"the remote gave no answer within {seconds:g} s") from error
        if answer.code:
            raise git_failed(remote.listing, answer.code, answer.errors.decode("utf-8", "replace"))
        if answer.cut:
            raise GitError("size", f"the remote lists more than {self._limit >> 20} MiB of refs")
        return await asyncio.to_thread(read_listing, answer.output)

    def _forget(self, access: "RemoteAccess", listing: _Listing) -> None:
        if self._listings.get(access) is listing:
            del self._listings[access]
