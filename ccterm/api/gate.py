"""What every request passes before any route: who asks, from where, with what, how much and how often. Web pages get nothing past it."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ccterm.api.limits import BODY_BYTES, BODY_SECONDS, HEADER_BYTES, URL_BYTES, RateLimit
from ccterm.api.problems import MEDIA_TYPE, HttpProblem

if TYPE_CHECKING:
    from ccterm.api.audit import AuditLog
    from ccterm.api.token import Token

SAFETY = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
"""Headers of every response. There is none that would let a web page of another origin read it."""
_JSON = b"application/json"
_DROPPED_BYTES = 8 * BODY_BYTES
_DROP_SECONDS = 2.0
_DIGITS = 16
_NOBODY = "nobody"
_ADD = "add the header Authorization: Bearer TOKEN; ccterm token prints the token"


class RequestGate:
    """Lets requests through to an application.

    token, hosts: what callers over TCP must show, and the exact Host headers that mean this server; None: they came through a private
    socket, which only its user can open. per_second: how many requests with the token, and how many without it, are let through.
    """

    def __init__(
        self, app: ASGIApp, audit: "AuditLog", token: "Token | None" = None, hosts: Collection[str] = (), *, per_second: int
    ) -> None:
        self._app, self._audit, self._token = app, audit, token
        self._hosts = {host.encode() for host in hosts}
        self._known, self._unknown = RateLimit(per_second), RateLimit(per_second)
        self._noted = RateLimit(1)
        """Of those that nobody has asked for; they must not push the others out of the log."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        caller, answer, coming = _NOBODY, _SafeResponse(send), _Coming(receive)
        try:
            self._require_place(scope)
            caller = self._caller(scope)
            body = await self._body(scope, coming)
            if body is not None:
                await self._app(scope, _Replay(body, receive), answer)
        except HttpProblem as problem:
            await coming.drop(scope)
            headers = {**problem.headers, "connection": "close"}
            await Response(problem.body, problem.status, headers, MEDIA_TYPE)(scope, receive, answer)
        finally:
            if scope["method"] != "GET" and (caller != _NOBODY or self._noted.lets_through()):
                self._audit.note(caller, scope["method"], scope["path"], answer.status, scope["state"].get("runs", ()))

    def _require_place(self, scope: Scope) -> None:
        """Refuse what is not meant for this server, or was made by a web page."""
        raw = bytes(scope["raw_path"])
        if len(raw) + len(scope["query_string"]) > URL_BYTES:
            raise HttpProblem(414, "url-too-long", f"the address is longer than {URL_BYTES} bytes", "send it in the body")
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
            raise HttpProblem(431, "headers-too-long", f"the headers are longer than {HEADER_BYTES:,} bytes", "send fewer")
        if not raw.startswith(b"/"):
            raise HttpProblem(400, "absolute-url", "the request names a whole address", "send the path alone")
        hosts = _values(scope, b"host")
        if len(hosts) != 1:
            raise HttpProblem(400, "host", "a request needs one Host header", "send it once")
        if self._token and hosts[0] not in self._hosts:
            raise HttpProblem(421, "host", "the Host header names another server", f"use {min(host.decode() for host in self._hosts)}")
        if _values(scope, b"origin"):
            raise HttpProblem(403, "origin", "web pages may not use this server", "ask from a program, without an Origin header")
        if any(site.lower() != b"none" for site in _values(scope, b"sec-fetch-site")):
            raise HttpProblem(403, "origin", "web pages may not use this server", "ask from a program, without Sec-Fetch headers")
        if scope["method"] == "OPTIONS":
            raise HttpProblem(403, "origin", "web pages may not use this server", "ask with GET or POST")
        if scope["method"] not in ("GET", "POST"):
            raise HttpProblem(405, "method", f"{scope['method']} is not used here", "ask with GET or POST", headers={"allow": "GET, POST"})

    def _caller(self, scope: Scope) -> str:
        """Return who asks. Raises HttpProblem 401 and 429."""
        if self._token is None:
            self._known.take()
            return "socket"
        given = _values(scope, b"authorization")
        if len(given) == 1 and self._token.fits(given[0]):
            self._known.take()
            return f"token {self._token.id}"
        self._unknown.take()
        raise HttpProblem(
            401,
            "token",
            "the request carries no valid token" if given else "the request carries no token",
            _ADD,
            headers={"www-authenticate": "Bearer"},
        )

    async def _body(self, scope: Scope, coming: "_Coming") -> bytes | None:
        """Read the body; None when the caller went away. Raises HttpProblem."""
        length = self._length(scope)
        data = b""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while len(data) < length:
                    part = await coming.part()
                    if part is None:
                        return None
                    data += part
        except TimeoutError as error:
            raise HttpProblem(408, "slow-body", f"the body did not come within {BODY_SECONDS:g} seconds", "try again") from error
        return data

    def _length(self, scope: Scope) -> int:
        """Return how long the body is, by what the headers say. Raises HttpProblem."""
        if _values(scope, b"transfer-encoding"):
            raise HttpProblem(411, "length", "the body comes in chunks", "send a Content-Length header instead of Transfer-Encoding")
        lengths = _values(scope, b"content-length")
        if len(lengths) > 1 or not all(length.isdigit() and len(length) < _DIGITS for length in lengths):
            raise HttpProblem(400, "length", "the Content-Length header is not one number", "send it once")
        length = int(lengths[0]) if lengths else 0
        if length > BODY_BYTES:
            raise HttpProblem(413, "body-too-large", f"the body has more than {BODY_BYTES:,} bytes", "send fewer tasks at once")
        kinds = _values(scope, b"content-type")
        if scope["method"] == "GET":
            if length:
                raise HttpProblem(400, "body", "a GET request has no body", "leave it out")
        elif kinds != [_JSON] and (length or kinds):  # an order without a body says nothing about its kind
            raise HttpProblem(415, "content-type", "the body is not declared as JSON", "add the header Content-Type: application/json")
        return length


class _Coming:
    """The body of a request, as it comes."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._more = receive, True

    async def part(self) -> bytes | None:
        """Return the next part; None when the caller went away."""
        message = await self._receive()
        self._more = message.get("more_body", False)
        return None if message["type"] == "http.disconnect" else message.get("body", b"")

    async def drop(self, scope: Scope) -> None:
        """Read to the end what is refused, unless that is much: while it still sends, many a client does not look for an answer."""
        lengths = _values(scope, b"content-length")
        if _values(scope, b"expect") or any(
            len(length) > _DIGITS or int(length) > _DROPPED_BYTES for length in lengths if length.isdigit()
        ):
            return  # the first of these looks for an answer before it sends
        seen = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_DROP_SECONDS):
                while self._more and seen < _DROPPED_BYTES:
                    seen += len(await self.part() or b"")


class _Replay:
    """Gives the application the body that was read, then whatever comes."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _SafeResponse:
    """Adds the headers of every response, and remembers its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], *((name.encode(), value.encode()) for name, value in SAFETY.items())]
        await self._send(message)


def _values(scope: Scope, name: bytes) -> Sequence[bytes]:
    return [value for key, value in scope["headers"] if key == name]
