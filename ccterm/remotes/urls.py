"""What a repository may be called. Pure rules, stricter than git's own: git takes some texts for options, commands or transports,
and a URL with a password in it would end up in command lines and on screens."""

import hashlib
import ipaddress
import posixpath
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from ccterm.errors import RemoteError

RemoteKind = Literal["https", "http", "ssh", "path"]

_DEFAULT_PORT = {"https": 443, "http": 80, "ssh": 22}
_ALIASES = {
    "www.github.com": "github.com",
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
}
"""Second names of well-known hosts; the ssh ones listen on port 443."""
_CASELESS = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"})
"""Hosts that take O/R and o/r for one repository."""
_LONGEST = 2000

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)")
_SCP = re.compile(r"(?P<authority>(?:[^/\[\]]*@)?(?:\[[^/\[\]]*\]|[^/:\[\]]*)):(?P<path>.*)")
_AUTHORITY = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]{0,31})@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@]*)(?::(?P<port>[0-9]{1,5}))?"
)
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*")
_AT = re.compile(r"[@＠﹫]|%40")
_NO_PORT = re.compile(r"(://[^/\[\]:]*):(?!\d{1,5}(?:/|$))[^/]+")
_WEB_PATH = re.compile(r"/(?:[A-Za-z0-9._~+,=:@/-]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True)
class Remote:
    """A repository that can be fetched and pushed.

    url: what git is told; it holds no password, and a user only where ssh needs one. host: lower case, "" for a path.
    port: None = the scheme's own. path: as in the URL, or absolute on this machine. url_key: the same for all spellings
    (https, ssh, with and without .git) of one repository.
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
        """The remote as people may see it."""
        return self.url

    @property
    def host_key(self) -> str:
        """`host` or `host:port`: what a [host] table of the settings is called."""
        return host_key(self.host, self.port)

    @property
    def cache_name(self) -> str:
        """A directory name for what is kept of this repository between runs."""
        word = re.sub(r"[^A-Za-z0-9._-]+", "-", self.url_key).strip("-.")[-60:].lstrip("-.")
        return f"{word}-{hashlib.sha256(self.url_key.encode()).hexdigest()[:16]}"

    def https(self, port: int | None = None) -> "Remote":
        """Return the https form of an ssh remote, for use with a token; any other remote is returned as it is."""
        if self.kind != "ssh":
            return self
        host = _ALIASES.get(self.host, self.host)
        return parse_remote(f"https://{host_key(host, port)}/{self.path.lstrip('/')}")


def host_key(host: str, port: int | None) -> str:
    """Return `host` or `host:port`, with an IPv6 address in brackets."""
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def looks_like_url(text: str) -> bool:
    """Whether a text is meant as a URL (or as git's host:path) and not as a path on this machine, by git's own rule."""
    return "://" in text or ":" in text.split("/", 1)[0]


def parse_remote(text: str) -> Remote:
    """Return the remote that a URL, `git@host:path` or an absolute path names.

    Raises RemoteError, whose text never repeats what may be a secret: user names, passwords, queries.
    """
    _refuse_strange(text)
    if match := _URL.fullmatch(text):
        return _from_url(text, match)
    if re.match(r"[A-Za-z0-9+.-]*::", text):
        raise RemoteError(f"{shown(text)} names a remote helper, which can run any command", "give an https:// or ssh:// URL")
    if looks_like_url(text) and (match := _SCP.fullmatch(text)):
        return _ssh(text, match["authority"], match["path"], scp=True)
    return _path(text)


def shown(text: str) -> str:
    """Return a repository text in quotes, cut and without user, password, query and control characters, fit for a message."""
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
        raise RemoteError(f"the repository {shown(text)} holds a control or invisible character", "type it anew")
    if text != text.strip():
        raise RemoteError(f"the repository {shown(text)} begins or ends with a space", "remove it")
    if text.startswith("-"):
        raise RemoteError(
            f"the repository {shown(text)} begins with -, which git takes for an option", "give a URL or a path such as ./NAME"
        )
    if len(text) > _LONGEST:
        raise RemoteError(f"the repository {shown(text)} is longer than {_LONGEST} characters", "give a shorter one")


def _from_url(text: str, match: re.Match[str]) -> Remote:
    scheme, authority = match["scheme"].lower(), match["authority"]
    if scheme == "file":
        return _file_url(text, match)
    if scheme not in _DEFAULT_PORT:
        raise RemoteError(f"{shown(text)} is neither https:// nor ssh://", f"{scheme}:// is not supported; give the https:// form")
    if match["rest"]:
        raise RemoteError(f"{shown(text)} goes on with a query or a fragment", "leave out everything from ? or # on")
    if scheme == "ssh":
        return _ssh(text, authority, match["path"], scp=False)
    if "@" in authority:
        raise RemoteError(
            f"{shown(text)} holds a user name or a password",
            "leave it out; tokens come from GH_TOKEN or gh auth login (github.com) or from [host] in the settings",
        )
    _, host, port = _authority(text, authority, scheme)
    if scheme == "http" and not is_loopback(host):
        raise RemoteError(f"{shown(text)} is not encrypted", "use https://; http:// is for this machine only")
    if not _WEB_PATH.fullmatch(match["path"] or "/"):
        raise RemoteError(f"the path of {shown(text)} holds a character that a URL cannot", "write it as %XX")
    path = _clean_path(text, match["path"], decoded=unquote(match["path"]))
    url = f"{scheme}://{host_key(host, port)}{path}"
    return Remote("http" if scheme == "http" else "https", url, host, port, path, _key(host, port, unquote(path)))


def _ssh(text: str, authority: str, path: str, *, scp: bool) -> Remote:
    if scp and authority.lower() in (*_DEFAULT_PORT, "file", "git"):
        raise RemoteError(f"{shown(text)} is an unfinished URL", f"write {authority}://host/path")
    if ":" in authority.rpartition("@")[0]:
        raise RemoteError(f"{shown(text)} holds a password", "leave it out; ssh remotes use your ssh agent")
    if re.search(r"[?#%'\"`$;|&<>(){}*!\s\\]", path):
        raise RemoteError(f"the path of {shown(text)} holds a character that is not allowed there", "give the path as the host shows it")
    user, host, port = _authority(text, authority, "ssh")
    if path.startswith("-"):
        raise RemoteError(
            f"the path of {shown(text)} begins with -, which ssh and git take for an option", "write it from the root: host:/path"
        )
    path = _clean_path(text, path, decoded=path)
    login = f"{user}@" if user else ""
    url = f"{login}{host_key(host, None)}:{path}" if scp else f"ssh://{login}{host_key(host, port)}{path}"
    return Remote("ssh", url, host, port, path, _key(host, port, path), user)


def _authority(text: str, authority: str, scheme: str) -> tuple[str | None, str, int | None]:
    match = _AUTHORITY.fullmatch(authority)
    if not match or not match["host"]:
        raise RemoteError(f"{shown(text)} names no usable host", f"write it as {scheme}://host/path")
    host, port = match["host"].strip("[]").lower(), int(match["port"]) if match["port"] else None
    if not (_is_ipv6(host) if match["host"].startswith("[") else _HOST.fullmatch(host)):
        raise RemoteError(f"the host of {shown(text)} is no host name", "letters, digits, - and . only; other scripts as xn--…")
    if port is not None and not 0 < port < 65536:
        raise RemoteError(f"{port} is no port", "ports go from 1 to 65535")
    return match["user"], host, None if port == _DEFAULT_PORT[scheme] else port


def _is_ipv6(host: str) -> bool:
    try:
        return bool(ipaddress.IPv6Address(host))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _clean_path(text: str, path: str, *, decoded: str) -> str:
    parts = decoded.removeprefix("/").removesuffix("/").split("/")
    if any(not char.isprintable() or char == "\\" for char in decoded):
        raise RemoteError(f"the path of {shown(text)} holds a control character or a backslash", "give the path as the host shows it")
    if not parts[0]:
        raise RemoteError(f"{shown(text)} names a host but no repository", "add the repository's path")
    if any(part in ("", ".", "..") for part in parts) or parts == [".git"]:
        raise RemoteError(f"the path of {shown(text)} holds an empty part, . or ..", "give the path as the host shows it")
    return path.rstrip("/")


def _file_url(text: str, match: re.Match[str]) -> Remote:
    if match["authority"] not in ("", "localhost"):
        raise RemoteError(f"{shown(text)} names another machine", "a file:// URL begins with file:///")
    if match["rest"]:
        raise RemoteError(f"{shown(text)} goes on with a query or a fragment", "give the plain path instead")
    path = unquote(match["path"])
    _refuse_strange(path)
    return _path(path)


def _path(text: str) -> Remote:
    if not text.startswith("/"):
        raise RemoteError(
            f"{shown(text)} is neither a URL nor an absolute path", "for a repository on GitHub give https://github.com/OWNER/NAME"
        )
    path = posixpath.normpath(text)
    path = path[1:] if path.startswith("//") else path  # normpath keeps two slashes, as POSIX would have it
    return Remote("path", path, "", None, path, path)


def _key(host: str, port: int | None, path: str) -> str:
    if name := _ALIASES.get(host):
        host, port = name, None
    path = path.strip("/").removesuffix(".git").rstrip("/")
    return f"{host_key(host, port)}/{path.lower() if host in _CASELESS else path}"
