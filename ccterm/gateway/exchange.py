"""One request of a box on its way to the API and back: its bytes unchanged, its pass replaced, its answer streamed as it comes."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple

from ccterm.gateway.box_connection import BoxConnection
from ccterm.gateway.heads import RefusedRequest, RequestHead, end_to_end
from ccterm.gateway.orders import LimitWindows, RunNumbers
from ccterm.gateway.requests import RequestKind, for_api
from ccterm.gateway.run_numbers import HeldRequests, Tally
from ccterm.gateway.shared_login import CACHED_BYTES, CachedAnswer, SharedLogin
from ccterm.gateway.upstream import Answer, Upstream
from ccterm.gateway.usage import counter, limit_windows
from ccterm.gateway.way_out import Unreachable

ORGANISATION_SECONDS = 4.0
"""Longest wait for what an organisation allows, all attempts together: each second of it is one that a run starts later."""
_ATTEMPTS = 3
_AGAIN_SECONDS = 0.3
_REFUSAL_BYTES = 256 * 1024
_OAUTH = b"oauth-"
"""How a beta begins without which the API refuses every OAuth login. The CLI always names it, other programs of a box do not."""


class Exchange(NamedTuple):
    """What one run's requests are answered with."""

    login: SharedLogin
    upstream: Upstream
    tally: Tally
    held: HeldRequests
    tell_limits: Callable[[LimitWindows], None]

    async def answer(self, kind: RequestKind, head: RequestHead, body: bytes, box: BoxConnection) -> None:
        """Answer a request that is listed and has the run's pass. Raises RefusedRequest, Unreachable and OSError."""
        match kind:
            case RequestKind.ORGANISATION:
                answer = await self._organisation(head)
                await box.respond(answer.status, answer.body, answer.headers)
            case RequestKind.DOMAIN:
                await self._relay(head, body, box, None)
            case _:
                if kind is RequestKind.ANSWER:
                    self.tally.require_rest()
                await self._held(kind, head, body, box)

    async def _held(self, kind: RequestKind, head: RequestHead, body: bytes, box: BoxConnection) -> None:
        """Ask with the login, and again with the next one when it is refused; the refusal is passed on when there is none.

        It is passed on, too, where it says nothing of the login: a box must not have the login of all runs be taken for a bad one.
        """
        counted = self.tally if kind is RequestKind.ANSWER else None
        holds = self.login.header != b"authorization" or any(_OAUTH in value for value in head.values(b"anthropic-beta"))
        refused_since: float | None = None
        while True:
            version = self.login.version
            refusal = await self._relay(head, body, box, (self.login.header, self.login.value), holds=holds, tally=counted)
            if refusal is None:
                return
            refused_since = refused_since or time.monotonic()
            with self.held.one_more() if self.login.may_be_renewed(version) else contextlib.nullcontext():
                renewed = await self.login.renewed(version, refused_since)
            if not renewed:
                await box.respond(refusal.status, refusal.body, refusal.headers)
                return

    async def _relay(
        self,
        head: RequestHead,
        body: bytes,
        box: BoxConnection,
        credential: tuple[bytes, bytes] | None,
        *,
        holds: bool = False,
        tally: Tally | None = None,
    ) -> CachedAnswer | None:
        """Ask once and pass the answer on; with `holds`, a 401 is returned instead."""
        headers = for_api(head.headers, self.upstream.destination.authority, credential)
        try:
            async with self.upstream.ask(head.method, head.target, headers, body) as answer:
                if holds and answer.status == 401:
                    return await _whole(answer, _REFUSAL_BYTES)
                if tally:
                    self._count(answer, tally)
                await self._pass_on(answer, box, tally)
                return None
        except Unreachable:
            if tally:
                tally.add(RunNumbers(requests=not box.begun, errors=1))
            raise

    def _count(self, answer: Answer, tally: Tally) -> None:
        limited = answer.status == 429
        tally.add(RunNumbers(requests=1, limited=limited, errors=answer.status >= 400 and not limited))
        if windows := limit_windows(answer.headers):
            self.tell_limits(windows)

    async def _pass_on(self, answer: Answer, box: BoxConnection, tally: Tally | None) -> None:
        await box.begin(answer.status, end_to_end(answer.headers), answer.reason)
        reader, told = counter(answer.header(b"content-type")), RunNumbers()
        try:
            async for piece in answer.pieces():
                await box.piece(piece)
                if tally:
                    reader.feed(piece)
                    if reader.live and (now := reader.tokens()) != told:
                        tally.add(_difference(now, told))
                        told = now
            await box.finish()
        finally:
            if tally:
                tally.add(_difference(reader.tokens(), told))

    async def _organisation(self, head: RequestHead) -> CachedAnswer:
        """Return what the API says, else what it said last, else 404: the CLI starts 18 seconds late with any other failure.

        404 stands for "no such document". The CLI then runs without WebFetch, as it does when the API fails; a made-up document without
        restrictions would allow what an organisation may have forbidden. 401 and 403 are the API's own word for this login and are passed on.
        """
        attempts = _ATTEMPTS if head.path not in self.login.answers else 1
        with contextlib.suppress(TimeoutError, Unreachable):
            async with asyncio.timeout(ORGANISATION_SECONDS / (1 if attempts > 1 else 2)):
                for attempt in range(attempts):
                    if attempt:
                        await asyncio.sleep(_AGAIN_SECONDS)
                    if answer := await self._organisation_now(head):
                        return answer
        return self.login.answers.get(head.path) or CachedAnswer(404, [(b"content-type", b"application/json")], _NOT_FOUND)

    async def _organisation_now(self, head: RequestHead) -> CachedAnswer | None:
        """Ask once; None when the API fails."""
        headers = for_api(head.headers, self.upstream.destination.authority, (self.login.header, self.login.value))
        with contextlib.suppress(Unreachable):
            async with self.upstream.ask(head.method, head.target, headers, b"") as answer:
                whole = await _whole(answer, CACHED_BYTES)
            if whole.status in (200, 404) and head.target == head.path:  # of a query, the answer to which is not that to the CLI's
                self.login.answers[head.path] = whole
            if whole.status in (200, 304, 404) or (whole.status in (401, 403) and head.path not in self.login.answers):
                return whole
        return None


_NOT_FOUND = RefusedRequest(404, "the API does not say").body


async def _whole(answer: Answer, limit: int) -> CachedAnswer:
    kept = [(name, value) for name, value in end_to_end(answer.headers) if name.lower() != b"content-length"]
    return CachedAnswer(answer.status, kept, await answer.read(limit))


def _difference(now: RunNumbers, before: RunNumbers) -> RunNumbers:
    return RunNumbers(*(one - other for one, other in zip(now, before, strict=True)))
