"""How boxes get out: services of the user's own loopback by an alias, the user's proxies and certificates."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import dagger
from dagger import PortForward

from ccterm.executors.base import Step

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")
_CA = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""Where a user names the certificates of a company's proxy; any of them holds for all tools in a box."""
_CA_PLACE = "/etc/ssl/certs/ccterm-host.pem"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NETLESS = ("harvest",)


def alias(port: int) -> str:
    """Return how a box names the host's loopback at a port: one word, as only such may be reached by http."""
    return f"loopback-{port}"


class Reach:
    """What the user's environment says of the network. Harvest gets none of it: it needs no network."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._proxies = {name: environ[name] for name in _PROXIES if environ.get(name)}
        self._ca = next((Path(environ[name]) for name in _CA if environ.get(name) and Path(environ[name]).is_file()), None)

    def opened(self, client: dagger.Client, box: dagger.Container, step: Step) -> dagger.Container:
        """Return the box with what its step may reach."""
        ports = {port: host for host, port in step.reaches}
        if step.program not in _NETLESS:
            for name, value in self._proxies.items():
                box, port, host = self._proxied(client, box, name, value)
                ports |= {port: host} if port else {}
            box = self._certified(client, box)
        for port, host in ports.items():
            service = client.host().service([PortForward(backend=port, frontend=port)], host="127.0.0.1" if host == "localhost" else host)
            box = box.with_service_binding(alias(port), service)
        return box

    def _proxied(self, client: dagger.Client, box: dagger.Container, name: str, value: str) -> tuple[dagger.Container, int, str]:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port, host = (parts.port or 80, parts.hostname) if parts.hostname in _LOOPBACK and "no" not in name.lower()[:2] else (0, "")
        if port:
            value = f"{parts.scheme}://{alias(port)}:{port}"
        if parts.username or parts.password:
            return box.with_secret_variable(name, client.set_secret(f"proxy-{name}", value)), port, host or ""
        return box.with_env_variable(name, value), port, host or ""

    def _certified(self, client: dagger.Client, box: dagger.Container) -> dagger.Container:
        if self._ca is None:
            return box
        box = box.with_file(_CA_PLACE, client.host().file(str(self._ca)), permissions=0o644)
        for name in (*_CA, "GIT_SSL_CAINFO"):
            box = box.with_env_variable(name, _CA_PLACE)
        return box
