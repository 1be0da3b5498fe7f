"""What git's callers pass to it and get from it, as plain types that host and boxes share."""

from typing import NotRequired, TypedDict

GIT_HEADER = "CCTERM_GIT_HEADER"
"""Environment name of the secret that resolve, checkout and push send as an HTTP header: `Authorization: …`."""
MARK = "CCTERM_MARK"
"""Environment name by which every process of a box is found again."""


class Ssh(TypedDict):
    """How git reaches an ssh remote: a forwarded agent socket (relative path) and the only host keys that are trusted."""

    agent: str | None
    known_hosts: str


class Change(TypedDict):
    """One changed path in changes.json; modes as git writes them, None = absent on that side; added and removed are None for binaries."""

    path: str
    old_mode: str | None
    new_mode: str | None
    added: int | None
    removed: int | None
    size: int
    old_size: NotRequired[int]
    old_lines: NotRequired[int | None]
    """How many lines a file had that may have lost most of them, or that is no longer text; it is not there for a binary one."""
    renamed_to: NotRequired[str]
    """For a deleted path: where its content is now, all of it or nearly so."""
    span: NotRequired[list[int]]
    """Begin and end, in added.bin, of the bytes that this path adds."""
