"""Reads the head of a request to the box proxy within bounds, and says how long its body is; two ways to read it are a refusal."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from ccterm.box.network.targets import BadTarget, HostPort, read_target

LONGEST = 32 * 1024
"""Bytes of a head, with its request line."""
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LINE = re.compile(rb"([A-Z]{1,20}) ([\x21-\x7e]+) HTTP/1\.[01]")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_OF_THE_HOP = (b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive", b"te", b"trailer", b"upgrade", b"host")
"""Headers that end at a proxy, and the host, which comes from the address alone."""
CHUNKED = -1
"""Length of a body that says its own."""


class BadHead(Exception):
    """A head that is not plain HTTP/1.1. The message is a sentence."""


class Head(NamedTuple):
    """The head of one request. raw: its bytes, with the empty line."""

    raw: bytes
    method: bytes
    wanted: bytes
    """What the request line asks for."""
    headers: Sequence[tuple[bytes, bytes]]
    """With their names in lower case."""

    @property
    def is_connect(self) -> bool:
        """Whether it asks for a tunnel."""
        return self.method == b"CONNECT"

    @property
    def is_for_origin(self) -> bool:
        """Whether it is written as to a server, not as to a proxy."""
        return self.wanted.startswith(b"/")

    def target(self) -> HostPort:
        """Return the host that it is for: of a tunnel, or of a whole http address. Raises BadTarget."""
        return read_target(self.wanted) if self.is_connect else read_target(self._authority()[0], 80)

    def _authority(self) -> tuple[bytes, bytes]:
        """Return the authority of a whole address, and what follows it."""
        scheme, found, rest = self.wanted.partition(b"://")
        if not found or scheme.lower() != b"http":
            raise BadTarget("it is not an http address; for https, ask for a tunnel with CONNECT")
        cut = min((at for at in (rest.find(mark) for mark in b"/?#") if at >= 0), default=len(rest))
        return rest[:cut], rest[cut:]

    def body(self) -> int:
        """Return how many bytes follow, or CHUNKED. Raises BadHead."""
        lengths = [value for name, value in self.headers if name == b"content-length"]
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and (codings != [b"chunked"] or lengths):
            raise BadHead("its body has two lengths, or an unknown coding")
        if len({*lengths}) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
            raise BadHead("its Content-Length is not one number")
        return CHUNKED if codings else int(lengths[0]) if lengths else 0

    def forwarded(self, target: HostPort, *, through_proxy: bool) -> bytes:
        """Return the head for the host's server, or for another proxy before it: of this request alone, and for no other host.

        Raises BadTarget.
        """
        path = self._authority()[1].partition(b"#")[0]
        path = path if path.startswith(b"/") else b"/" + path
        host = str(target).removesuffix(":80").encode()
        named = {part.strip().lower() for name, value in self.headers if name == b"connection" for part in value.split(b",")}
        kept = [
            b"%s: %s\r\n" % header
            for header in self.headers
            if header[0] not in _OF_THE_HOP and (header[0] not in named or header[0] in _FRAMING)
        ]
        wanted = b"http://" + host + path if through_proxy else path
        return b"".join([self.method, b" ", wanted, b" HTTP/1.1\r\nHost: ", host, b"\r\nConnection: close\r\n", *kept])


_FRAMING = (b"content-length", b"transfer-encoding")


def read_head(raw: bytes) -> Head:
    """Read a head up to its empty line. Raises BadHead."""
    line, *fields = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    match = _LINE.fullmatch(line)
    if not match:
        raise BadHead("its first line is not one of HTTP/1.1")
    headers = []
    for field in fields:
        name, colon, value = field.partition(b":")
        if not (colon and _TOKEN.fullmatch(name) and _VALUE.fullmatch(value)):
            raise BadHead("it holds a header that is none")
        headers.append((name.lower(), value.strip(b" \t")))
    return Head(raw, match[1], match[2], headers)
