"""How a step program uses the box proxy: it starts it, closes the network if that is asked for, and passes its reports on as frames."""

import contextlib
import json
import os
import re
import select
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ccterm.box.agent.pipes import QueuedFrames
from ccterm.box.network.proxy_process import RECONNECT
from ccterm.box.process import child
from ccterm.box.process.loop import Want, turn
from ccterm.git.bounded_json import read_json
from ccterm.git.types import MARK

if TYPE_CHECKING:
    from ccterm.box.network.proxy_process import ProxySettings
    from ccterm.box.network.tally import EgressCount
    from ccterm.box.protocol import NetworkRequest

_HERE = ("127.0.0.1", "localhost", "::1")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY")
_VARIABLES = (*_PROXIES, "ALL_PROXY", "NO_PROXY")
_CERTIFICATES = "NODE_EXTRA_CA_CERTS"
_PLACEHOLDER = re.compile(r'(?<![^"])@ccterm-box-proxy(?![^"/])')
"""`@ccterm-box-proxy` as a whole value, or as a whole string of JSON; a path may follow it."""
_NEEDED = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "RES_OPTIONS", "LOCALDOMAIN")
_LAST_SECONDS = 2.0
"""Seconds that the proxy has to tell its last counts, and to end."""


class NotClosed(Exception):
    """The network could not be closed. The message is a sentence; nothing may run then."""


class BoxNetwork:
    """The network of one box: none of its own, or the box proxy. It is open before anything of the repository or the agent runs."""

    def __init__(self, frames: QueuedFrames, request: "NetworkRequest | None", env: Mapping[str, str], mark: str) -> None:
        """Start the proxy and close the network, as the request says. env: of the programs of the box. Raises NotClosed, OSError."""
        self._frames, self._request = frames, request
        self._address = self._certificates = ""
        self._rest, self._closing = b"", False
        self._host: socket.socket | None = None
        if request is None:
            return
        self._host, theirs = socket.socketpair()
        kept = {name: env[name] for name in _NEEDED if name in env}
        with theirs:  # before the network is closed: the proxy stays outside
            self._process = subprocess.Popen(
                child.command(["@box", "proxy"]),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={**kept, MARK: mark},
                start_new_session=True,
            )
        try:
            self._address = self._tell(request, env)
            self._certificates = _certificates(request["ca"], env.get(_CERTIFICATES)) if request["ca"] else ""
        except BaseException:
            self.close()
            raise

    def _tell(self, request: "NetworkRequest", env: Mapping[str, str]) -> str:
        """Give the proxy its settings and its sockets, and return its address."""
        listeners = _closed(request["services"]) if request["mode"] == "list" else [socket.create_server(("127.0.0.1", 0), backlog=128)]
        settings: ProxySettings = {
            "mode": request["mode"],
            "hosts": request["hosts"],
            # in a local box it is a link, whose own path is too long for a socket
            "gateway": os.path.realpath(request["gateway"]) if request["gateway"] else None,
            "services": request["services"],
            "proxies": {name: value for name in _VARIABLES if (value := env.get(name.lower()) or env.get(name))},
        }
        assert self._host
        socket.send_fds(self._host, [b" "], [listener.fileno() for listener in listeners])
        self._host.sendall(json.dumps(settings).encode() + b"\n")
        address = f"http://127.0.0.1:{listeners[0].getsockname()[1]}"
        for listener in listeners:
            listener.close()
        return address

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return an environment of the box's programs whose way out is the proxy."""
        if self._request is None:
            return dict(env)
        past = ",".join([*_HERE, *self._request["services"]])
        proxies = {**dict.fromkeys(_PROXIES, self._address), "NO_PROXY": past}
        own = {name: self.placed(value) for name, value in env.items() if name.upper() not in _VARIABLES}
        lower = {name.lower(): value for name, value in proxies.items()}
        return own | proxies | lower | self._git_settings(own) | ({_CERTIFICATES: self._certificates} if self._certificates else {})

    def _git_settings(self, env: Mapping[str, str]) -> dict[str, str]:
        if self._request is None or not (reads := self._request.get("git")):
            return {}
        from ccterm.box.network.git_settings import git_through  # deferred: few agents read repositories, and all should start at once

        return git_through(self._address, reads["repositories"], env.get(reads["pass_name"], ""), env)

    def placed(self, text: str) -> str:
        """Return a value or an argument with the proxy's address in place of `@ccterm-box-proxy`."""
        return _PLACEHOLDER.sub(self._address, text) if self._request else text

    def reconnect(self) -> None:
        """Close the connections to the login gateway, which was started again: the way there may not tell that it died."""
        if self._host:
            with contextlib.suppress(OSError):
                self._host.sendall(RECONNECT)

    def wants(self) -> Iterator[Want]:
        """Wait for what the proxy tells."""
        if self._host:
            yield self._host.fileno(), select.POLLIN, self._hear

    def _hear(self) -> None:
        assert self._host
        data = b""
        with contextlib.suppress(OSError):
            data = self._host.recv(64 * 1024)
        if not data:
            self._host.close()
            self._host = None
            if not self._closing:
                self._frames.note("the box proxy has ended, and what goes through it reaches nothing any more")
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            asked: EgressCount = read_json(line)
            if asked["d"]:
                self._frames.note(asked["d"], what="egress", taken=asked["taken"], detail=asked["detail"], number=asked["number"])
            else:
                self._frames.note(asked["detail"])

    def close(self) -> None:
        """End the proxy, and pass on what it told last. Nothing of the box may need it any more."""
        if self._request is None:
            return
        self._closing = True
        if self._host:
            with contextlib.suppress(OSError):
                self._host.shutdown(socket.SHUT_WR)
        end = time.monotonic() + _LAST_SECONDS
        while self._host and (left := end - time.monotonic()) > 0:
            turn([self, self._frames], left)
        with contextlib.suppress(subprocess.TimeoutExpired, PermissionError):
            self._process.kill() if self._host else None
            self._process.wait(_LAST_SECONDS)


def _closed(services: Mapping[str, int]) -> list[socket.socket]:
    from ccterm.box.network.closing import close_network  # deferred: most boxes are open

    return close_network(services)


def _certificates(added: str, own: str | None) -> str:
    """Write a file of certificates that every program of the box can read; return its path. own: a file of the user's that it joins."""
    import tempfile  # deferred: no box without a login gateway needs it

    parts = []
    if own:
        with contextlib.suppress(OSError), open(own, encoding="utf-8", errors="surrogateescape") as file:
            parts.append(file.read())
    descriptor, path = tempfile.mkstemp(prefix="ccterm-ca-", suffix=".pem")
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("\n".join([*parts, added]))
        os.fchmod(descriptor, 0o644)
    return path
