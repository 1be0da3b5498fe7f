"""One login as the process holds it: what is sent in place of a pass, and what waits while the API refuses it."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from ccterm.gateway.heads import Headers

HOLD_SECONDS = 9 * 60.0
"""Longest time that a request is held: the CLI waits ten minutes for the head of an answer."""
CACHED_BYTES = 1024 * 1024
"""Longest answer that is kept."""
CACHED_LOGINS = 16


class CachedAnswer:
    """An answer of the API that is served again when there is no newer one."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


Answers = dict[bytes, CachedAnswer]
"""By path."""


class AnswerCache:
    """The last good answers to each login, which outlive its runs. Logins themselves are not kept: a digest finds their answers."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, Answers] = OrderedDict()

    def of(self, value: bytes, before: Answers | None = None) -> Answers:
        """Return the answers to a login. before: those to the one that it follows, which it begins with."""
        digest = hashlib.sha256(value).digest()
        found = self._answers.pop(digest, None) or dict(before or {})
        self._answers[digest] = found
        while len(self._answers) > CACHED_LOGINS:
            self._answers.popitem(last=False)
        return found


class SharedLogin:
    """A login that many runs share. tell_refused: called once whenever the API begins to refuse it, whatever the number of requests."""

    def __init__(
        self, header: str, value: str, tell_refused: Callable[[], None], cache: AnswerCache, *, hold_seconds: float = HOLD_SECONDS
    ) -> None:
        self._tell_refused, self._cache, self._hold_seconds = tell_refused, cache, hold_seconds
        self._refused = self._given_up = False
        self._changed = asyncio.Event()
        self.version = 0
        """Counts the renewals: who was refused with an older one is to ask again."""
        self.answers: Answers = {}
        """The last good answers to it."""
        self._set(header, value)

    def _set(self, header: str, value: str) -> None:
        self.header = header.encode("ascii")
        self.value = (f"Bearer {value}" if header == "authorization" else value).encode("utf-8", "replace")
        self.answers = self._cache.of(self.value, self.answers)

    def renew(self, header: str, value: str) -> None:
        """Take another value; what is held is asked again."""
        self._set(header, value)
        self.version += 1
        self._refused = self._given_up = False
        self._wake()

    def try_again(self) -> None:
        """Hold anew what the API refuses from now on: a run was admitted with this login although it was given up."""
        if self._given_up:
            self._refused = self._given_up = False

    def give_up(self) -> None:
        """Pass on the refusals of what is held and of what comes, until the login is renewed."""
        self._given_up = True
        self._wake()

    def may_be_renewed(self, version: int) -> bool:
        """Whether another value than that of `version` is waited for."""
        return self.version == version and not self._given_up

    async def renewed(self, version: int, since: float) -> bool:
        """Wait for another value than that of `version`, with which a request was refused at `since` on the monotonic clock.

        True: ask again. False: pass the refusal on.
        """
        if self.may_be_renewed(version):
            if not self._refused:
                self._refused = True
                self._tell_refused()
            try:
                async with asyncio.timeout(since + self._hold_seconds - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                if self.version == version:  # else it was renewed in this very moment
                    self.give_up()
        return self.version != version

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
