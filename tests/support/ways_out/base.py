"""What ways out have in common. Each of them raises when it is closed."""

import ctypes
import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

SECONDS = 6.0
BOX: dict[str, Any] = json.loads(sys.argv[1]) if __name__ == "__main__" else {}
"""outside: [address, port] of a server; outside6: the same by IPv6; dns: address of a DNS server; name: what it knows;

private: [name, port] of a server at a private address; abstract: an abstract socket; sockets: paths of sockets that are not the
agent's; beside: [alias, port that is declared, one that is not] of a service; listed: [name, port] of what the list allows; requests:
name -> bytes for the proxy, as latin-1 text.
"""
LIBC = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"
Way = Callable[[], object]
WAYS: dict[str, Way] = {}


def way(test: Way) -> Way:
    """Register a way out. It raises when it is closed."""
    WAYS[test.__name__] = test
    return test


def call(number: int, *arguments: object) -> int:
    """Make a system call by its number on x86_64. Raises OSError."""
    if not X86:
        raise OSError("only tried on x86_64")
    result = LIBC.syscall(*(ctypes.c_long(each) if isinstance(each, int) else each for each in (number, *arguments)))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(result)


def talk(host: str, port: int) -> None:
    """Connect, past every proxy."""
    socket.create_connection((host, port), SECONDS / 2).close()
