"""Turns the errors of git and of the system into a reason for programs and a bounded text for people."""

import errno
import re
from typing import NamedTuple

_LONGEST = 800
# as text: `re` compiles and keeps a pattern when it is first used, and a step that goes well never needs one
_USERINFO = r"([A-Za-z][A-Za-z0-9+.-]*://)[^/@\s'\"]*@"
_HEADER = r"(?i:(authorization:).*)"
_NOISE = r"hint|warning|remote: (Enumerating|Counting|Compressing|Total|Resolving)|To |Updating|Everything|Please make sure|and the repository|\s*$"
_ASKPASS = r"(error: )?unable to read askpass"
_PREFIX = r"^(fatal|error): "
_NO_LOGIN = r"could not read (?:Username|Password) for '([^']*)':.*"
"""git asks for what it was not given, in the words of a program that has no terminal."""

_REASONS = (
    ("memory", r"(?m)^(?!remote:).*(Out of memory|memory exhausted|Cannot allocate memory)"),
    ("disk", r"(?m)^(?!remote:).*(No space left on device|Disk quota exceeded|disk full)"),
    ("disk_io", r"(?m)^(?!remote:).*(Input/output error|Read-only file system)"),
    (
        "auth",
        r"Authentication failed|could not read (Username|Password)|returned error: 40[13]|Permission denied \(|terminal prompts disabled",
    ),
    ("auth", r"HTTP Basic: Access denied|Invalid credentials|Permission to \S+ denied|access denied or repository not exported"),
    (
        "auth",
        r"marked as read only|not allowed to (push|upload)|not have write access|permission denied for writ|access denied|DENIED by|TF40\d+:",
    ),
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
_REDIRECT = r"returned error: 30[12378]"
_DISK = {
    errno.ENOSPC: "disk",
    errno.EDQUOT: "disk",
    errno.EFBIG: "disk",
    errno.EIO: "disk_io",
    errno.EROFS: "disk_io",
}


class GitFault(NamedTuple):
    """Why git failed: a reason for programs and a text for people."""

    reason: str
    detail: str


def fault_of(stderr: str, otherwise: str) -> GitFault:
    """Return the failure that git's stderr describes; `otherwise` is the detail when it says nothing."""
    reason = next((reason for reason, pattern in _REASONS if re.search(pattern, stderr)), "git")
    return GitFault(reason, detail_of(stderr) or otherwise)


def reason_of_system(error: OSError) -> str:
    """Return the reason for an OSError: disk, disk_io or io."""
    return _DISK.get(error.errno or 0, "io")


def detail_of(stderr: str) -> str:
    """Return the informative lines of git's stderr in one: bounded, without userinfo, with a fix for a redirect."""
    lines = [
        re.sub(_NO_LOGIN, r"\1 asks for a login", re.sub(_PREFIX, "", line.strip()))
        for line in stderr.replace("\r", "\n").split("\n")
        if not re.match(f"{_ASKPASS}|{_NOISE}", line)
    ]
    text = re.sub(_HEADER, r"\1 …", re.sub(_USERINFO, r"\1", "; ".join(dict.fromkeys(lines))))
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    if re.search(_REDIRECT, stderr):
        return f"the remote answers with a redirect: use the address that it redirects to ({text})"
    return text
