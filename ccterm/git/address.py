"""Takes the address of a repository apart, as git does: a URL, `user@host:path`, or a path on this machine. What is allowed is for others
to say: host and boxes have rules of their own."""

import re
from typing import Literal, NamedTuple

DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22}

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(.*)", re.DOTALL)
_HELPER = re.compile(r"([A-Za-z0-9+.-]*)::(.*)", re.DOTALL)
_SCP = re.compile(r"((?:[^/\[\]]*@)?(?:\[[^/\[\]]*\]|[^/:\[\]]*)):(.*)", re.DOTALL)
_AUTHORITY = re.compile(r"(?:([A-Za-z0-9_][A-Za-z0-9._-]{0,31})@)?(\[[0-9A-Fa-f:.]+\]|[^\[\]:@]*)(?::([0-9]{1,5}))?")


class GitAddress(NamedTuple):
    """The parts of an address, as written except for the scheme."""

    form: Literal["url", "scp", "helper", "path"]
    """helper: `NAME::…`, by which git starts a program of that name."""
    scheme: str
    """Lower case; "ssh" for `host:path`, "" for a path."""
    authority: str
    """User, host and port."""
    path: str
    rest: str = ""
    """Query and fragment, with the `?` or `#` that begins them."""


class Authority(NamedTuple):
    """Who is asked. host: lower case, without brackets. port: None = the scheme's own."""

    user: str | None
    host: str
    port: int | None


def split_address(text: str) -> GitAddress:
    """Return the parts of an address."""
    if match := _URL.fullmatch(text):
        return GitAddress("url", match[1].lower(), match[2], match[3], match[4])
    if match := _HELPER.match(text):
        return GitAddress("helper", match[1].lower(), "", match[2])
    if ":" in text.split("/", 1)[0] and (match := _SCP.fullmatch(text)):
        return GitAddress("scp", "ssh", match[1], match[2])
    return GitAddress("path", "", "", text)


def split_authority(text: str, scheme: str) -> Authority | None:
    """Return user, host and port, or None when they are not well-formed. Neither host nor port is checked any further."""
    match = _AUTHORITY.fullmatch(text)
    if not match or not match[2]:
        return None
    port = int(match[3]) if match[3] else None
    return Authority(match[1], match[2].strip("[]").lower(), None if port == DEFAULT_PORTS.get(scheme) else port)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    import ipaddress  # deferred: costs start-up time, and few addresses need it

    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def resolve_relative(address: str, parent: str) -> str:
    """Return a submodule's address; a relative one is resolved against its parent's as git does it."""
    if not address.startswith(("./", "../")):
        return address
    above, separator = parent.rstrip("/"), "/"
    while address.startswith(("./", "../")):
        if address.startswith("../"):
            separator = "/" if "/" in above else ":"  # at the top of host:path a colon is left
            above = above.rpartition(separator)[0]
        address = address.partition("/")[2]
    return f"{above}{separator}{address}"
