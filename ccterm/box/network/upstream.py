"""The user's own proxies, which a box goes through where the user's environment names them."""

import base64
from collections.abc import Mapping
from ipaddress import ip_network
from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from ccterm.box.network.targets import HostPort

_PORTS = {"http": 80, "https": 443}


class UserProxy(NamedTuple):
    """One proxy. header: the line that authorises us there, or b""."""

    host: str
    port: int
    tls: bool
    header: bytes


class UserProxies:
    """The proxies of an environment, by the upper-case names of its variables. Proxies of other kinds than http and https are not used."""

    def __init__(self, named: Mapping[str, str]) -> None:
        self._tunnel = _read(named.get("HTTPS_PROXY") or named.get("ALL_PROXY", ""))
        self._plain = _read(named.get("HTTP_PROXY") or named.get("ALL_PROXY", ""))
        self._past = named.get("NO_PROXY", "").lower().replace(",", " ").split()

    def for_tunnel(self, target: HostPort) -> UserProxy | None:
        """Return the proxy for a tunnel to a target, or None to dial it."""
        return None if self._goes_past(target) else self._tunnel

    def for_plain(self, target: HostPort) -> UserProxy | None:
        """Return the proxy for a plain request to a target, or None to dial it."""
        return None if self._goes_past(target) else self._plain

    def _goes_past(self, target: HostPort) -> bool:
        return any(entry == "*" or _covers(entry, target) for entry in self._past)


def _covers(entry: str, target: HostPort) -> bool:
    if target.address is not None:
        try:
            return target.address in ip_network(entry.strip("[]"), strict=False)
        except ValueError:
            pass
    name, colon, port = entry.rpartition(":")
    if colon and port.isdecimal() and ":" not in name:
        return int(port) == target.port and _covers(name, target)
    name = entry.removeprefix("*").removeprefix(".").removesuffix(".")
    return bool(name) and (target.host == name or target.host.endswith(f".{name}"))


def _read(value: str) -> UserProxy | None:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    header = b""
    if parts.username is not None:
        login = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
        header = b"Proxy-Authorization: Basic " + base64.b64encode(login) + b"\r\n"
    return UserProxy(parts.hostname, port or _PORTS[parts.scheme], parts.scheme == "https", header)
