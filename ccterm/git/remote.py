"""How git may reach one remote: over its own protocol only, with a credential that stands in no argument, file or URL."""

import ipaddress
import os
import re
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ccterm.git.git import Git, GitError, as_environment
from ccterm.git.types import GIT_HEADER, Ssh

_SCP = re.compile(r"[A-Za-z0-9._-]+@([A-Za-z0-9][A-Za-z0-9.-]*):(?!//).+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SLOW = {"http.lowSpeedLimit": "1", "http.lowSpeedTime": "600"}


class Remote:
    """One remote and everything that is needed to talk to it. Raises GitError(protocol) for an address that may not be used."""

    def __init__(self, address: str, *, ca: str | None = None, ssh: Ssh | None = None, header: str | None = None) -> None:
        self.protocol = _protocol(address)
        self.url = address if self.protocol != "file" or _SCHEME.match(address) else os.path.abspath(address)
        self._config = _http(self.url, ca, header) if self.protocol in ("http", "https") else {}
        self._env = {"GIT_ALLOW_PROTOCOL": self.protocol, **_ssh(ssh, self.protocol)}
        self._sub = (ca, ssh)

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> "Remote":
        """Return the remote that a request names, with the credential from the environment."""
        return cls(request["remote"], ca=request.get("ca"), ssh=request.get("ssh"), header=os.environ.get(GIT_HEADER))

    @property
    def host(self) -> tuple[str, int | None]:
        """Return host and port; ("", None) for a path."""
        if match := _SCP.fullmatch(self.url):
            return match[1].lower(), None
        parts = urlsplit(self.url)
        return (parts.hostname or "", parts.port) if self.protocol != "file" else ("", None)

    def git(self, directory: str | None = None) -> Git:
        """Return git that may talk to this remote and to no other."""
        return Git(directory, env=self.environment())

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return what git needs in its environment; `more` is further configuration."""
        config = {**self._config, **(more or {})}
        return {**self._env, **as_environment(config)}

    def sibling(self, address: str) -> "Remote":
        """Return another repository on the same host. Raises GitError when it lies elsewhere: no host gets another's credential."""
        ca, ssh = self._sub
        if self.protocol in ("https", "http"):
            address = self._over_http(address)
        other = Remote(address, ca=ca, ssh=ssh, header=os.environ.get(GIT_HEADER))
        if (other.protocol, other.host) != (self.protocol, self.host):
            raise GitError("submodule", f"{address} is not on the host of the repository")
        return other

    def _over_http(self, address: str) -> str:
        """Return an ssh address of the same host as one that is reached as this remote is."""
        if match := _SCP.fullmatch(address):
            host, path = match[1], address.partition(":")[2]
        else:
            parts = urlsplit(address)
            host, path = (parts.hostname or "", parts.path) if parts.scheme == "ssh" else ("", "")
        return f"{self.protocol}://{urlsplit(self.url).netloc}/{path.lstrip('/')}" if host.lower() == self.host[0] else address


def _protocol(address: str) -> str:
    if match := _SCHEME.match(address):
        scheme = match[1].lower()
        if scheme not in ("https", "http", "ssh", "file"):
            raise GitError("protocol", f"{scheme}:// is not an address that is fetched from")
        _check(address, scheme)
        return scheme
    if "::" in address.split("/", 1)[0] or address.startswith("-"):
        raise GitError("protocol", f"{address} is not an address that is fetched from")
    return "ssh" if _SCP.fullmatch(address) else "file"


def _check(address: str, scheme: str) -> None:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise GitError("protocol", f"the address is malformed: {error}") from error
    if scheme in ("https", "http") and "@" in parts.netloc:
        raise GitError("protocol", "an address with a user or password in it is not used; give a token instead")
    if scheme == "http" and not _near(host):
        raise GitError("protocol", f"http is for loopback only; use https for {host}")


def _near(host: str) -> bool:
    """Whether a host is this machine, or the one-word alias by which an engine names it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return "." not in host


def _http(url: str, ca: str | None, header: str | None) -> dict[str, str]:
    config = dict(_SLOW)
    if ca:
        config["http.sslCAInfo"] = _write("remote-ca.pem", ca)
    elif os.environ.get("SSL_CERT_FILE"):
        config["http.sslCAInfo"] = os.environ["SSL_CERT_FILE"]
    if header:
        config[f"http.{url}.extraHeader"] = header
    return config


def _ssh(ssh: Ssh | None, protocol: str) -> dict[str, str]:
    if protocol != "ssh":
        return {}
    known = _write("known_hosts", ssh["known_hosts"] if ssh else "")
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f'UserKnownHostsFile="{known}"', "GlobalKnownHostsFile=/dev/null"]
    options += [f"IdentityAgent={ssh['agent'] if ssh and ssh['agent'] else 'none'}", "ConnectTimeout=30", "ServerAliveInterval=15"]
    command = ["ssh", "-F", "/dev/null", *(word for option in options for word in ("-o", option))]
    return {"GIT_SSH_COMMAND": shlex.join(command), "GIT_SSH_VARIANT": "ssh"}


def _write(name: str, text: str) -> str:
    path = os.path.abspath(name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path
