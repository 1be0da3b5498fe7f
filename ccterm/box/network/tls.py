"""The name that the first record of a TLS connection asks for. Nothing is decrypted: a client says it in the clear."""

from typing import NamedTuple

LONGEST = 64 * 1024
"""Bytes of a client's first message, with its records' heads; a key exchange for the time after quantum computers takes 2 KB."""
RECORDS = range(20, 25)
"""First bytes of records. Some servers pass over an alert before a client's first message."""
_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST = 22, 1, 0, 0


class Unfinished(Exception):
    """More bytes are needed."""


class NotTls(Exception):
    """The bytes do not begin a TLS connection."""


class _Reader(NamedTuple):
    data: bytes

    def take(self, size: int) -> tuple[bytes, "_Reader"]:
        if len(self.data) < size:
            raise NotTls
        return self.data[:size], _Reader(self.data[size:])

    def block(self, width: int) -> tuple[bytes, "_Reader"]:
        """Take a length of `width` bytes, and as many bytes."""
        length, rest = self.take(width)
        return rest.take(int.from_bytes(length, "big"))


def server_name(data: bytes) -> str | None:
    """Return the host name of a client's first message in lower case; None = it names none. Raises Unfinished, NotTls."""
    hello = _Reader(_first_message(data))
    _, hello = hello.take(2 + 32)  # version, random
    _, hello = hello.block(1)
    _, hello = hello.block(2)
    _, hello = hello.block(1)
    if not hello.data:
        return None
    extensions = _Reader(hello.block(2)[0])
    names = []
    while extensions.data:
        kind, extensions = extensions.take(2)
        content, extensions = extensions.block(2)
        if int.from_bytes(kind, "big") == _SERVER_NAME:
            names.append(_host_name(content))
    if len(names) > 1:
        raise NotTls
    return names[0] if names else None


def _host_name(content: bytes) -> str:
    entries = _Reader(_Reader(content).block(2)[0])
    kind, entries = entries.take(1)
    name, entries = entries.block(2)
    if kind[0] != _HOST or entries.data:
        raise NotTls
    return name.decode("ascii", "replace").lower()


def _first_message(data: bytes) -> bytes:
    """Join the records that hold the first handshake message, and return its content."""
    message, rest = b"", data
    while True:
        if rest and rest[0] != _HANDSHAKE:
            raise NotTls
        if len(rest) < 5:
            raise Unfinished
        length = int.from_bytes(rest[3:5], "big")
        if not length:
            raise NotTls
        record, rest = rest[5 : 5 + length], rest[5 + length :]
        message += record
        if message and message[0] != _CLIENT_HELLO:
            raise NotTls
        wanted = 4 + int.from_bytes(message[1:4], "big") if len(message) >= 4 else 4
        if len(message) >= 4 and len(message) >= wanted:
            return message[4:wanted]
        if wanted > LONGEST:
            raise NotTls
        if len(record) < length:
            raise Unfinished
