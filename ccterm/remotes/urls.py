"""What a repository may be called: rules stricter than git's own. git takes some texts for options, commands or transports, and a URL with
a password in it would end up in command lines and on screens."""

import hashlib
import posixpath
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from ccterm.errors import RemoteError
from ccterm.git.address import DEFAULT_PORTS, GitAddress, is_loopback, split_address, split_authority

RemoteKind = Literal["https", "http", "ssh", "path"]

_ALIASES = {
    "www.github.com": "github.com",
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
    "ssh.dev.azure.com": "dev.azure.com",
    "vs-ssh.visualstudio.com": "dev.azure.com",
}
"""Second names of well-known hosts; of the ssh ones some listen on port 443."""
_CASELESS = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"})
"""Hosts for which O/R and o/r are the same repository."""
_LONGEST = 2000

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*")
_AT = re.compile(r"[@＠﹫]|%40")
_NO_PORT = re.compile(r"(://[^/\[\]:]*):(?!\d{1,5}(?:/|$))[^/]+")
_USER = re.compile(r"(?:[A-Za-z0-9._~+-]|%(?:20|2[BDEbde]|40|5[Ff]))+")
"""A user name as hosts put it into https addresses; there it says nothing that the path does not."""
_TOKEN = re.compile(r"(?i:gh[a-z]_|github_pat_|glpat-|gl[a-z]+-|ATBB|ATCTT|ATATT)|.{40}")
"""How a token begins that was put where a user name belongs; no host lets users have names of forty characters."""
_AZURE = re.compile(r"/?v3/([^/]+)/([^/]+)/([^/]+)")
"""The path of a repository on Azure DevOps by ssh: organisation, project, repository."""
_UNSAFE = re.compile(r"[?#%'\"`$;|&<>(){}*!\s\\]")
_WEB_PATH = re.compile(r"/(?:[A-Za-z0-9._~+,=:@/-]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True)
class RemoteAddress:
    """The checked address of a repository that can be fetched and pushed.

    url: what git is given; it holds no password, and a user only where ssh needs one. host: lower case, "" for a path. port: None = the
    scheme's own. path: as in the URL, or absolute on this machine. url_key: the same for all spellings (https, ssh, with and without .git)
    of one repository.
    """

    kind: RemoteKind
    url: str
    host: str
    port: int | None
    path: str
    url_key: str
    user: str | None = None

    @property
    def display(self) -> str:
        """The address as it may be shown."""
        return self.url

    @property
    def host_key(self) -> str:
        """`host` or `host:port`: the name of its [host] table in the settings."""
        return host_key(self.host, self.port)

    @property
    def cache_name(self) -> str:
        """A directory name for what is kept of this repository between runs."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.url_key).strip("-.")[-60:].lstrip("-.")
        return f"{name}-{hashlib.sha256(self.url_key.encode()).hexdigest()[:16]}"

    def https(self, port: int | None = None) -> "RemoteAddress":
        """Return the https form of an ssh address, for use with a token; any other address is returned unchanged."""
        if self.kind != "ssh":
            return self
        host = _ALIASES.get(self.host, self.host)
        return parse_remote(f"https://{host_key(host, port)}/{_web_path(host, self.path).lstrip('/')}")


def host_key(host: str, port: int | None) -> str:
    """Return `host` or `host:port`, with an IPv6 address in brackets."""
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def looks_like_url(text: str) -> bool:
    """Whether git would take a text for a URL (or for host:path) and not for a path on this machine."""
    return "://" in text or ":" in text.split("/", 1)[0]


def parse_remote(text: str) -> RemoteAddress:
    """Return the address that a URL, `git@host:path` or an absolute path gives.

    Raises RemoteError, whose text never repeats what may be a secret: user names, passwords, queries.
    """
    _refuse_strange(text)
    address = split_address(text)
    if address.form == "url":
        return _from_url(text, address)
    if address.form == "helper":
        raise RemoteError(f"{shown(text)} names a remote helper, which can run any command", "give an https:// or ssh:// URL")
    return _ssh(text, address) if address.form == "scp" else _path(text)


def shown(text: str) -> str:
    """Return a repository text for a message: quoted, shortened, without user, password, query and control characters."""
    scheme = re.match(r"[A-Za-z0-9+.-]*:(?://|:)", text)
    start = scheme[0] if scheme else ""
    *userinfo, tail = _AT.split(text)
    bare = re.split(r"[?#]", text, maxsplit=1)[0]
    if userinfo and bare != text:
        bare = f"{start}…"  # with a query as well, nobody can tell where a password ends
    elif userinfo:
        bare = f"{start}…@{tail}"
    clean = "".join(char if char.isprintable() else "�" for char in _NO_PORT.sub(r"\1:…", bare))
    return f'"{clean[:40]}…{clean[-79:]}"' if len(clean) > 120 else f'"{clean}"'


def _refuse_strange(text: str) -> None:
    if not text.strip():
        raise RemoteError("the repository is empty", "give a URL or a path")
    if any(not char.isprintable() for char in text):
        raise RemoteError(f"the repository {shown(text)} holds a control or invisible character", "type it again")
    if text != text.strip():
        raise RemoteError(f"the repository {shown(text)} begins or ends with a space", "remove it")
    if text.startswith("-"):
        raise RemoteError(
            f"the repository {shown(text)} begins with -, which git takes for an option", "give a URL or a path such as ./NAME"
        )
    if len(text) > _LONGEST:
        raise RemoteError(f"the repository {shown(text)} is longer than {_LONGEST} characters", "give a shorter one")


def _from_url(text: str, address: GitAddress) -> RemoteAddress:
    scheme = address.scheme
    if scheme == "file":
        return _file_url(text, address)
    if scheme not in DEFAULT_PORTS:
        raise RemoteError(f"{shown(text)} is neither https:// nor ssh://", f"{scheme}:// is not supported; give the https:// form")
    if address.rest:
        raise RemoteError(f"{shown(text)} ends in a query or a fragment", "leave out everything from ? or # on")
    if scheme == "ssh":
        return _ssh(text, address)
    address = _without_user(text, address)
    _, host, port = _authority(text, address)
    if scheme == "http" and not is_loopback(host):
        raise RemoteError(f"{shown(text)} is not encrypted", "use https://; http:// is for this machine only")
    if not _WEB_PATH.fullmatch(address.path or "/"):
        raise RemoteError(f"the path of {shown(text)} holds a character that a URL cannot", "write it as %XX")
    path = _clean_path(text, address.path, decoded=unquote(address.path))
    url = f"{scheme}://{host_key(host, port)}{path}"
    return RemoteAddress("http" if scheme == "http" else "https", url, host, port, path, _key(host, port, unquote(path)))


def _without_user(text: str, address: GitAddress) -> GitAddress:
    """Return an https address without the user name that hosts put into it. Raises RemoteError for what may be a password or a token."""
    user, at, host = address.authority.rpartition("@")
    if at and (not _USER.fullmatch(user) or _TOKEN.match(user)):
        raise RemoteError(
            f"{shown(text)} holds a password or a token",
            "leave it out; tokens come from GH_TOKEN or gh auth login (github.com), from git's credential helper, or from [host] in the settings",
        )
    return address._replace(authority=host)


def _ssh(text: str, address: GitAddress) -> RemoteAddress:
    scp, authority, path = address.form == "scp", address.authority, address.path
    if scp and authority.lower() in (*DEFAULT_PORTS, "file", "git"):
        raise RemoteError(f"{shown(text)} is an unfinished URL", f"write {authority}://host/path")
    if ":" in authority.rpartition("@")[0]:
        raise RemoteError(f"{shown(text)} holds a password", "leave it out; ssh remotes use your ssh agent")
    decoded = unquote(path)
    if " " in path or _UNSAFE.search(decoded.replace(" ", "")):
        raise RemoteError(f"the path of {shown(text)} holds a character that is not allowed there", "give the path as the host shows it")
    user, host, port = _authority(text, address)
    if path.startswith("-"):
        raise RemoteError(
            f"the path of {shown(text)} begins with -, which ssh and git take for an option", "write it from the root: host:/path"
        )
    path = _clean_path(text, path, decoded=decoded)
    login = f"{user}@" if user else ""
    url = f"{login}{host_key(host, None)}:{path}" if scp else f"ssh://{login}{host_key(host, port)}{path}"
    return RemoteAddress("ssh", url, host, port, path, _key(host, port, decoded), user)


def _authority(text: str, address: GitAddress) -> tuple[str | None, str, int | None]:
    found = split_authority(address.authority, address.scheme)
    if found is None:
        raise RemoteError(f"{shown(text)} names no usable host", f"write it as {address.scheme}://host/path")
    bracketed = "[" in address.authority
    if not (_is_ipv6(found.host) if bracketed else _HOST.fullmatch(found.host)):
        raise RemoteError(f"the host of {shown(text)} is not a host name", "letters, digits, - and . only; other scripts as xn--…")
    if found.port is not None and not 0 < found.port < 65536:
        raise RemoteError(f"{found.port} is not a port", "ports go from 1 to 65535")
    return found


def _is_ipv6(host: str) -> bool:
    import ipaddress  # deferred: costs start-up time, and few addresses need it

    try:
        return bool(ipaddress.IPv6Address(host))
    except ValueError:
        return False


def _clean_path(text: str, path: str, *, decoded: str) -> str:
    parts = decoded.removeprefix("/").removesuffix("/").split("/")
    if any(not char.isprintable() or char == "\\" for char in decoded):
        raise RemoteError(f"the path of {shown(text)} holds a control character or a backslash", "give the path as the host shows it")
    if not parts[0]:
        raise RemoteError(f"{shown(text)} names a host but no repository", "add the repository's path")
    if any(part in ("", ".", "..") for part in parts) or parts == [".git"]:
        raise RemoteError(f"the path of {shown(text)} contains an empty part, . or ..", "give the path as the host shows it")
    return path.rstrip("/")


def _file_url(text: str, address: GitAddress) -> RemoteAddress:
    if address.authority not in ("", "localhost"):
        raise RemoteError(f"{shown(text)} names another machine", "a file:// URL begins with file:///")
    if address.rest:
        raise RemoteError(f"{shown(text)} ends in a query or a fragment", "give the plain path instead")
    path = unquote(address.path)
    _refuse_strange(path)
    return _path(path)


def _path(text: str) -> RemoteAddress:
    if not text.startswith("/"):
        raise RemoteError(
            f"{shown(text)} is neither a URL nor an absolute path", "for a repository on GitHub give https://github.com/OWNER/NAME"
        )
    path = posixpath.normpath(text)
    path = path[1:] if path.startswith("//") else path  # normpath keeps two slashes, as POSIX requires
    return RemoteAddress("path", path, "", None, path, path)


def _key(host: str, port: int | None, path: str) -> str:
    if name := _ALIASES.get(host):
        host, port, path = name, None, _web_path(name, path)
    path = path.strip("/").removesuffix(".git").rstrip("/")
    return f"{host_key(host, port)}/{path.lower() if host in _CASELESS else path}"


def _web_path(host: str, path: str) -> str:
    """Return the path by https of a repository that has this one by ssh."""
    azure = _AZURE.fullmatch(path.rstrip("/")) if host == "dev.azure.com" else None
    return f"{azure[1]}/{azure[2]}/_git/{azure[3]}" if azure else path
