"""One login as the process holds it: what is sent in place of a pass, and what waits while the API refuses it."""

import asyncio
import time
from collections.abc import Callable

from ccterm.gateway.heads import Headers

HOLD_SECONDS = 9 * 60.0
"""Longest time that a request is held: the CLI waits ten minutes for the head of an answer."""
CACHED_BYTES = 1024 * 1024


class CachedAnswer:
    """An answer of the API that is served again when there is no newer one."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class SharedLogin:
    """A login that many runs share. tell_refused: called once whenever the API begins to refuse it, whatever the number of requests."""

    def __init__(self, header: str, value: str, tell_refused: Callable[[], None], *, hold_seconds: float = HOLD_SECONDS) -> None:
        self._tell_refused, self._hold_seconds = tell_refused, hold_seconds
        self._refused = self._given_up = False
        self._changed = asyncio.Event()
        self.version = 0
        """Counts the renewals: who was refused with an older one is to ask again."""
        self.answers: dict[bytes, CachedAnswer] = {}
        """The last good answers by their paths."""
        self._set(header, value)

    def _set(self, header: str, value: str) -> None:
        self.header = header.encode("ascii")
        self.value = (f"Bearer {value}" if header == "authorization" else value).encode("latin-1")

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

    async def renewed(self, version: int, since: float) -> bool:
        """Wait for another value than that of `version`, with which a request was refused at `since` on the monotonic clock.

        True: ask again. False: pass the refusal on.
        """
        if self.version == version and not self._given_up:
            if not self._refused:
                self._refused = True
                self._tell_refused()
            try:
                async with asyncio.timeout(since + self._hold_seconds - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                self.give_up()
        return self.version != version

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
