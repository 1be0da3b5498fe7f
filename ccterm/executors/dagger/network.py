"""The network of boxes: the host's loopback services under aliases, and the user's proxies and certificates."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import dagger
from dagger import PortForward

from ccterm.box.protocol import Frame
from ccterm.executors.base import FrameSink, Step
from ccterm.executors.dagger.command import CERTIFICATES, PROXIES
from ccterm.executors.dagger.dagger_private import asking_id_once
from ccterm.git.bounded_json import read_json
from ccterm.output.own_text import address_secrets, remember

_CA_PATH = "/etc/ssl/certs/ccterm-host.pem"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
NETLESS = ("merge", "commit")
"""Programs without network settings."""


def alias(port: int) -> str:
    """Return a box's name for the host's loopback at a port. It has no dots: only such names may be reached over plain http."""
    return f"loopback-{port}"


_ALIAS = re.compile(r"loopback-(\d+)")


class _Proxy(NamedTuple):
    """A proxy as boxes see it. port, host: where it listens on the host's loopback; 0, "" = it is elsewhere."""

    value: str
    secret: bool
    port: int = 0
    host: str = ""

    @classmethod
    def read(cls, name: str, value: str) -> "_Proxy":
        """Read a proxy variable."""
        parts = urlsplit(value if "://" in value else f"http://{value}")
        secret = bool(parts.username or parts.password)
        if parts.hostname not in _LOOPBACK or name.lower().startswith("no"):
            return cls(value, secret)
        port = parts.port or 80
        login = "".join(parts.netloc.rpartition("@")[:2])
        return cls(f"{parts.scheme}://{login}{alias(port)}:{port}", secret, port, parts.hostname)


class Network:
    """The network settings in the user's environment, applied to the containers of one session. The commit step gets none of them."""

    def __init__(self, client: dagger.Client, environ: Mapping[str, str]) -> None:
        self._client = client
        remember(address_secrets({name: environ[name] for name in PROXIES if environ.get(name)}))
        self._proxies = {name: _Proxy.read(name, environ[name]) for name in PROXIES if environ.get(name)}
        self._ca = next((Path(environ[name]) for name in CERTIFICATES if environ.get(name) and Path(environ[name]).is_file()), None)
        self._services: dict[tuple[str, int], dagger.Service] = {}

    def with_settings(self, container: dagger.Container) -> dagger.Container:
        """Return a container with the user's proxies and certificates."""
        for name, proxy in self._proxies.items():
            if proxy.secret:
                container = container.with_secret_variable(name, self._client.set_secret(f"proxy-{name}", proxy.value))
            else:
                container = container.with_env_variable(name, proxy.value)
        return self._with_certificates(container)

    def with_host_services(self, box: dagger.Container, step: Step) -> dagger.Container:
        """Return a box that can reach the host services of its step."""
        for port, host in self._ports(step).items():
            box = box.with_service_binding(alias(port), self._service("127.0.0.1" if host == "localhost" else host, port))
        return box

    def as_written(self, step: Step, sink: FrameSink) -> FrameSink:
        """Return a sink that passes frames on with the addresses that the user wrote, where a box knows the host's loopback by an alias."""
        ports = self._ports(step)

        def written(text: str) -> str:
            return _ALIAS.sub(lambda match: ports.get(int(match[1]), match[0]), text)

        def passed_on(frame: Frame) -> None:
            if frame["k"] == "report" and "loopback-" in (text := json.dumps(frame["report"])):
                frame = {**frame, "report": read_json(written(text))}
            elif frame["k"] in ("line", "note") and "loopback-" in (text := frame.get("d", "")):
                frame = {**frame, "d": written(text)}
            sink(frame)

        return passed_on if ports else sink

    def _ports(self, step: Step) -> dict[int, str]:
        """Return the ports of the host's loopback that a step may reach, each with its host as the user wrote it."""
        ports = {port: host for host, port in step.reaches}
        if step.program not in NETLESS:
            ports |= {proxy.port: proxy.host for proxy in self._proxies.values() if proxy.port}
        return ports

    def _service(self, host: str, port: int) -> dagger.Service:
        if (host, port) not in self._services:
            self._services[host, port] = asking_id_once(self._client.host().service([PortForward(backend=port, frontend=port)], host=host))
        return self._services[host, port]

    def _with_certificates(self, box: dagger.Container) -> dagger.Container:
        if self._ca is None:
            return box
        box = box.with_file(_CA_PATH, self._client.host().file(str(self._ca)), permissions=0o644)
        for name in (*CERTIFICATES, "GIT_SSL_CAINFO"):
            box = box.with_env_variable(name, _CA_PATH)
        return box
