"""How git may reach one remote: over its own protocol only, with a credential that is in no argument, file or URL."""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ccterm.git.address import Authority, GitAddress, is_loopback, split_address, split_authority
from ccterm.git.git import Git, GitError, as_environment
from ccterm.git.refs import Ref, parse_refs
from ccterm.git.types import GIT_HEADER, Ssh

_SLOW = {"http.lowSpeedLimit": "1", "http.lowSpeedTime": "600"}
_PINNED = {"followRedirects": "false", "sslVerify": "true"}
_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
"""In git's order; one that is set to nothing means none."""
LISTING_SECONDS = 90.0
"""How long a remote may take to list its refs."""
LISTING_BYTES = 128 << 20
"""Longest listing that is read in a box: about a million refs."""
LISTING_MEMORY = 512 << 20
"""Bytes of memory that git may take for a listing, which it holds whole before it prints any of it."""


class Remote:
    """One remote and everything that is needed to talk to it. Raises GitError(protocol) for an address that may not be used.

    directory: where certificates, host keys and configuration are written for git to read. safe: the user told their own git that repositories
    of other users on this machine are safe, this one among them.
    """

    def __init__(
        self,
        address: str,
        *,
        ca: str | None = None,
        ssh: Ssh | None = None,
        header: str | None = None,
        directory: str = "",
        safe: bool = False,
    ) -> None:
        self._parts = split_address(address)
        self._authority = _checked(address, self._parts)
        self.protocol = self._parts.scheme or "file"
        self.url = address if self._parts.scheme else os.path.abspath(address)
        self._config = _http(self.url, ca, header, directory) if self.protocol in ("http", "https") else {}
        self._env = {"GIT_ALLOW_PROTOCOL": self.protocol, **_ssh(ssh, self.protocol, directory)}
        if safe and self.protocol == "file":  # git's own programs at the other end obey no configuration but that of a file
            self._env["GIT_CONFIG_GLOBAL"] = _write(directory, "safe.gitconfig", "[safe]\n\tdirectory = *\n")
        self._access = (ca, ssh, safe)

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> "Remote":
        """Return the remote that a request names, with the credential from the environment."""
        header = os.environ.get(GIT_HEADER)
        return cls(request["remote"], ca=request.get("ca"), ssh=request.get("ssh"), header=header, safe=bool(request.get("safe")))

    @property
    def host(self) -> tuple[str, int | None]:
        """Return host and port; ("", None) for a path."""
        return (self._authority.host, self._authority.port) if self._authority else ("", None)

    def git(self, directory: str | None = None) -> Git:
        """Return git that may talk to this remote and to no other. Without a directory it looks for none: one above would configure it."""
        return Git(directory or os.devnull, env=self.environment())

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return what git needs in its environment; `more` is further configuration."""
        config = {**self._config, **(more or {})}
        return {**self._env, **as_environment(list(config.items()))}

    def at(self, address: str) -> dict[str, str]:
        """Return the configuration by which another address of the same repository is reached, the credential included."""
        own = f"http.{self.url}."
        return {f"http.{address}.{name.removeprefix(own)}": value for name, value in self._config.items() if name.startswith(own)}

    @property
    def listing(self) -> Sequence[str]:
        """The git command that lists all refs; a symbolic one comes first with "ref: NAME" in place of an object name."""
        return ("ls-remote", "--symref", "--", self.url)

    @property
    def rehearsal(self) -> Sequence[str]:
        """The git command that asks the remote for what it would push to, and pushes nothing; for a repository without branches."""
        return ("push", "--dry-run", "--quiet", "--no-verify", "--", self.url, "refs/heads/*:refs/heads/*")

    def refs(self, *patterns: str) -> Iterator[Ref]:
        """Ask the remote for the refs that match. Raises GitError."""
        return parse_refs(self._asked(("ls-remote", "--", self.url, *patterns)))

    def list_all(self) -> bytes:
        """Return what `listing` prints. Raises GitError."""
        return self._asked(self.listing)

    def _asked(self, question: Sequence[str]) -> bytes:
        try:
            return self.git().run(*question, timeout=LISTING_SECONDS, output=LISTING_BYTES, memory=LISTING_MEMORY)
        except GitError as error:
            raise too_many_refs(error) if error.reason in ("memory", "output") else error from error

    @property
    def path(self) -> str:
        """Where it is on its host, without slashes at the ends and without .git; folded where hosts do not tell case apart."""
        from urllib.parse import unquote  # deferred: most remotes have no submodules

        path = unquote(split_address(self.url).path).strip("/").removesuffix(".git").rstrip("/")
        return path if self.protocol == "file" else path.casefold()

    def sibling(self, address: str, permitted: Sequence[str] = ()) -> "Remote":
        """Return another repository on the same host, with the credential if it is permitted.

        permitted: paths on the host, as `path` has them, or DIRECTORY/*. Raises GitError when it is elsewhere, because no host gets another's credential, and
        when it could be reached by nothing but a credential that it may not have.
        """
        ca, ssh, safe = self._access
        if self.protocol in ("https", "http"):
            address = self._over_http(address)
        other = Remote(address, ca=ca)
        if (other.protocol, other.host) != (self.protocol, self.host):
            raise GitError("submodule", f"{address} is not on the host of the repository")
        if _is_permitted(other.path, permitted):
            return Remote(address, ca=ca, ssh=ssh, header=os.environ.get(GIT_HEADER), safe=safe)
        if other.protocol in ("ssh", "file"):
            raise GitError("permission", f"{address} is another repository, and your access to it is not lent to this one")
        return other

    @property
    def anonymous(self) -> bool:
        """Whether it is asked without a credential."""
        return self.protocol in ("http", "https") and not any(key.endswith(".extraHeader") for key in self._config)

    def _over_http(self, address: str) -> str:
        """Return an ssh address of the same host in the form in which this remote is reached; any other one as it is."""
        parts = split_address(address)
        authority = split_authority(parts.authority, parts.scheme) if parts.scheme == "ssh" else None
        if authority is None or authority.host != self.host[0]:
            return address
        return f"{self.protocol}://{self._parts.authority}/{parts.path.lstrip('/')}"


def too_many_refs(error: GitError) -> GitError:
    """Return the error for a listing that passed a bound, as one that says so."""
    return GitError("refs", "the remote lists more refs than ccterm takes, which are about a million", error.stderr)


def _is_permitted(path: str, permitted: Sequence[str]) -> bool:
    """Return whether a path is on a list. One that a server might read as another one never is."""
    if any(part in ("", ".", "..") for part in path.split("/")):
        return False
    return any(path.startswith(each[:-1]) if each.endswith("/*") else path == each for each in permitted)


def _checked(address: str, parts: GitAddress) -> Authority | None:
    """Return who is to be asked, None for a path. Raises GitError(protocol)."""
    if parts.form == "helper" or address.startswith("-") or (parts.form == "path" and ":" in address.split("/", 1)[0]):
        raise GitError("protocol", f"{address} is not an address that git may fetch from")
    if parts.scheme not in ("", "https", "http", "ssh", "file"):
        raise GitError("protocol", f"{parts.scheme}:// is not an address that git may fetch from")
    if parts.scheme in ("", "file"):
        return None
    if parts.scheme != "ssh" and "@" in parts.authority:
        raise GitError("protocol", "an address with a user or password in it is not used; give a token instead")
    authority = split_authority(parts.authority, parts.scheme)
    if authority is None or authority.host.startswith("-") or (authority.port or 0) > 65535:
        raise GitError("protocol", "the host or the port of the address is malformed")
    if parts.scheme == "http" and not _is_near(authority.host):
        raise GitError("protocol", f"http is for loopback only; use https for {authority.host}")
    return authority


def _is_near(host: str) -> bool:
    """Whether a host is this machine, or the one-word alias by which an engine names it."""
    return is_loopback(host) or not {".", ":"} & set(host)


def _http(url: str, ca: str | None, header: str | None, directory: str) -> dict[str, str]:
    # for this very address, so that no other setting is closer to it
    config = dict(_SLOW) | {f"http.{url}.{name}": value for name, value in _PINNED.items()} | {f"http.{url}.proxy": _proxy(url)}
    if ca:
        config["http.sslCAInfo"] = _write(directory, "remote-ca.pem", ca)
    elif os.environ.get("SSL_CERT_FILE"):
        config["http.sslCAInfo"] = os.environ["SSL_CERT_FILE"]
    if header:
        config[f"http.{url}.extraHeader"] = header
    return config


def _proxy(url: str) -> str:
    """Return the proxy that the environment names; git and curl respect `no_proxy`. None for http, which is for this machine only."""
    if url.startswith("http:"):
        return ""
    return next((os.environ[name] for name in _PROXIES if name in os.environ), "")


def _ssh(ssh: Ssh | None, protocol: str, directory: str) -> dict[str, str]:
    if protocol != "ssh":
        return {}
    known = _write(directory, "known_hosts", ssh["known_hosts"] if ssh else "")
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f'UserKnownHostsFile="{known}"', "GlobalKnownHostsFile=/dev/null"]
    options += [
        f'IdentityAgent="{ssh["agent"]}"' if ssh and ssh["agent"] else "IdentityAgent=none",
        "ConnectTimeout=30",
        "ServerAliveInterval=15",
    ]
    command = ["ssh", "-F", "/dev/null", *(word for option in options for word in ("-o", option))]
    return {"GIT_SSH_COMMAND": shlex.join(command), "GIT_SSH_VARIANT": "ssh"}


def _write(directory: str, name: str, text: str) -> str:
    path = os.path.abspath(os.path.join(directory, name))
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path
