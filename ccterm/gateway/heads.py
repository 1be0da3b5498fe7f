"""Heads of requests as boxes send them. What two parsers could read in two ways is refused, so that nothing is smuggled past the pass list."""

import json
from typing import NamedTuple

import h11

HEAD_BYTES = 64 * 1024
BODY_BYTES = 32 * 1024 * 1024
MOST_HEADERS = 128
"""The Claude CLI sends about 30. To read thousands takes so long that the boxes of other runs would notice."""
HEAD_END = b"\r\n\r\n"
Headers = list[tuple[bytes, bytes]]
"""Names and values in their order; names as they were written."""


class RefusedRequest(Exception):
    """A request that is answered here. `closes`: nothing more is read from its connection. `challenge`: of a 401, which login is wanted."""

    def __init__(self, status: int, message: str, *, closes: bool = False, challenge: str = "") -> None:
        super().__init__(status, message)
        self.status, self.message, self.closes, self.challenge = status, message, closes, challenge

    @property
    def body(self) -> bytes:
        """Return the answer in the shape of the API's own errors, which the CLI shows."""
        return json.dumps({"type": "error", "error": {"type": _KINDS.get(self.status, "api_error"), "message": self.message}}).encode()

    @property
    def headers(self) -> Headers:
        """Return the headers of that answer."""
        challenge = [(b"www-authenticate", self.challenge.encode())] if self.challenge else []
        return [(b"content-type", b"application/json"), *challenge]


_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
}


class RequestHead(NamedTuple):
    """What a request says before its body."""

    method: bytes
    target: bytes
    headers: Headers
    length: int
    """Bytes of the body."""
    waits: bool
    """Whether the body comes only after "100 Continue"."""

    @property
    def path(self) -> bytes:
        """The target without its query, exactly as it was sent."""
        return self.target.partition(b"?")[0]

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of a header; `name` in lower case."""
        return [value for given, value in self.headers if given.lower() == name]


def read_head(raw: bytes, http: h11.Connection) -> RequestHead:
    """Parse one head, from the request line to the empty line. Raises RefusedRequest."""
    _check_framing(raw)
    http.receive_data(raw)
    try:
        event = http.next_event()
    except h11.RemoteProtocolError as error:
        raise RefusedRequest(400, f"not HTTP: {error}", closes=True) from error
    if not isinstance(event, h11.Request):
        raise RefusedRequest(400, "not a request", closes=True)
    if event.http_version != b"1.1":
        raise RefusedRequest(400, "only HTTP/1.1 is accepted here", closes=True)
    head = RequestHead(
        method=event.method,
        target=event.target,
        headers=list(event.headers.raw_items()),
        length=int(next((value for name, value in event.headers if name == b"content-length"), b"0")),
        waits=http.they_are_waiting_for_100_continue,
    )
    if head.length > BODY_BYTES:
        raise RefusedRequest(413, "the request is larger than 32 MB", closes=True)
    return head


def _check_framing(raw: bytes) -> None:
    """Refuse what h11 forgives: line ends that are none, folded lines, and any doubt about where the body ends."""
    lines = raw.removesuffix(HEAD_END).split(b"\r\n")
    if len(lines) > MOST_HEADERS + 1:
        raise RefusedRequest(431, f"a request may have {MOST_HEADERS} headers", closes=True)
    if any(b"\n" in line or b"\r" in line or b"\0" in line for line in lines):
        raise RefusedRequest(400, "a line ends with something else than CR LF", closes=True)
    if not lines[0] or any(line[:1] in (b" ", b"\t", b"") for line in lines[1:]):
        raise RefusedRequest(400, "a line is folded or empty", closes=True)
    fields = [line.partition(b":") for line in lines[1:]]
    names = [name.strip().lower() for name, _, _ in fields]
    if b"transfer-encoding" in names:
        raise RefusedRequest(411, "a request must say its length", closes=True)
    if names.count(b"content-length") > 1 or names.count(b"host") > 1:
        raise RefusedRequest(400, "a header is given twice", closes=True)
    lengths = [value.strip() for name, _, value in fields if name.strip().lower() == b"content-length"]
    if any(not value.isdigit() or len(value) > 12 for value in lengths):
        raise RefusedRequest(400, "the length is no number", closes=True)


_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"te", b"trailer", b"transfer-encoding",
    b"upgrade", b"expect",
}  # fmt: skip
_NEVER_DROPPED = {b"content-length", b"host", b"authorization", b"x-api-key"}


def end_to_end(headers: Headers) -> Headers:
    """Return the headers that are not for the next hop alone."""
    named = {
        name.strip().lower() for given, value in headers if given.lower() == b"connection" for name in value.split(b",")
    } - _NEVER_DROPPED
    return [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP | named]


def replaced(headers: Headers, name: bytes, value: bytes) -> Headers:
    """Return the headers with one value of that name, in its place or at the end; `name` in lower case."""
    places = [index for index, (given, _) in enumerate(headers) if given.lower() == name]
    if not places:
        return [*headers, (name, value)]
    written = headers[places[0]][0]
    rest = [pair for index, pair in enumerate(headers) if index not in places[1:]]
    return [*rest[: places[0]], (written, value), *rest[places[0] + 1 :]]
