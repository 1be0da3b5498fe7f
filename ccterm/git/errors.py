"""Turns what git and the system say when something fails into a reason for programs and a bounded text for people."""

import errno
import re
from typing import NamedTuple

_LONGEST = 800
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/@\s'\"]*@")
_HEADER = re.compile(r"(authorization:).*", re.IGNORECASE)
_NOISE = re.compile(
    r"^(hint|warning|remote: (Enumerating|Counting|Compressing|Total|Resolving)|To |Updating|Everything|Please make sure|and the repository|\s*$)"
)
_PREFIX = re.compile(r"^(fatal|error): ")

_REASONS = (
    ("disk", r"No space left on device|Disk quota exceeded|disk full"),
    (
        "auth",
        r"Authentication failed|could not read (Username|Password)|returned error: 40[13]|Permission denied \(|terminal prompts disabled",
    ),
    ("auth", r"HTTP Basic: Access denied|Invalid credentials|Permission to \S+ denied|access denied or repository not exported"),
    ("size", r"returned error: 413|pack exceeds maximum|exceeds .{0,40}(file )?size limit|[Ff]ile too large"),
    ("not_found", r"[Rr]epository .{0,200}not found|returned error: 404|does not appear to be a git repository|returned error: 30[12378]"),
    ("not_found", r"Could not find repository|not a git repository|repository .{0,200}does not exist|project .{0,80}could not be found"),
    ("protocol", r"transport '.*' not allowed|protocol '.*' is not (supported|allowed)|[Uu]nable to find remote helper"),
    ("network", r"Could not resolve|Failed to connect|Couldn't connect|Connection (refused|timed out|reset)|unable to access|early EOF"),
    ("network", r"SSL|TLS|certificate|RPC failed|hung up|timed out|Host key verification failed|unable to look up|Network is unreachable"),
    (
        "network",
        r"Recv failure|Empty reply|ssh: |returned error: 5\d\d|unexpected disconnect|Operation too slow|Could not read from remote",
    ),
)
_PATTERNS = tuple((reason, re.compile(pattern)) for reason, pattern in _REASONS)
_REDIRECT = re.compile(r"returned error: 30[12378]")
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Fault(NamedTuple):
    """A failure: a word for programs and a text for people."""

    reason: str
    detail: str


def fault_of(said: str, otherwise: str) -> Fault:
    """Return the fault that git's stderr speaks of; `otherwise` is the detail when it says nothing."""
    reason = next((reason for reason, pattern in _PATTERNS if pattern.search(said)), "git")
    return Fault(reason, detail_of(said) or otherwise)


def reason_of_system(error: OSError) -> str:
    """Return the reason that an OSError is: disk or io."""
    return "disk" if error.errno in _DISK else "io"


def detail_of(said: str) -> str:
    """Return the telling lines of git's stderr in one, without userinfo and not too long, and what to do where they don't say it."""
    lines = [_PREFIX.sub("", line.strip()) for line in said.replace("\r", "\n").splitlines() if not _NOISE.match(line)]
    text = _HEADER.sub(r"\1 …", _USERINFO.sub(r"\1", "; ".join(dict.fromkeys(lines))))
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    return f"the remote answers with a redirect: give the address that it redirects to ({text})" if _REDIRECT.search(said) else text
