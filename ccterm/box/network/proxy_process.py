"""The process of the box proxy. It is started while the box's network is open, and gives up all rights before it does anything else."""

import resource
import socket
from typing import TypedDict

from ccterm.box.process.privileges import give_up_everything
from ccterm.git.bounded_json import read_json

_MOST_FILES = 2048
_RECEIVE = 64 * 1024
_MOST_LISTENERS = 64
RECONNECT = b"reconnect\n"
"""The line by which the proxy is told to close its connections to the login gateway."""


class ProxySettings(TypedDict):
    """What the proxy is told once, with its listening sockets: its own, then one for each service, in their order."""

    mode: str
    hosts: list[str]
    gateway: str | None
    """Absolute path of the gateway's socket."""
    services: dict[str, int]
    proxies: dict[str, str]
    """The variables of the box's environment that name the user's own proxies, by their upper-case names."""


def main() -> None:
    """Run as a program: stdin is a socket to the program that started it, see `BoxNetwork`."""
    give_up_everything()
    host = socket.socket(fileno=0)
    from ccterm.box.network.proxy import serve  # deferred: asyncio and what it brings take a while

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_MOST_FILES, hard), hard))
    data, listening, _, _ = socket.recv_fds(host, _RECEIVE, _MOST_LISTENERS)
    while not data.endswith(b"\n"):
        block = host.recv(_RECEIVE)
        if not block:
            return  # the network could not be closed
        data += block
    serve(host, read_json(data), [socket.socket(fileno=each) for each in listening])
