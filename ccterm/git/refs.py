"""Reads and writes what names commits: lists of refs, HEAD, packed-refs, and the file that stands for a git directory elsewhere."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ccterm.git.git import Git
from ccterm.git.rooted import Root

_SHA = rb"[0-9a-f]{40}(?:[0-9a-f]{24})?"
_SYMBOLIC = rb"ref: (refs/[^\x00-\x20]+)"
_GITFILE = rb"gitdir: ([^\x00\n]+)\n?"
_SMALL = 4096
_PACKED_LIMIT = 16 << 20
_PACKED_HEADER = b"# pack-refs with:\n"


class Ref(NamedTuple):
    """A ref as git lists it. In a name, bytes that are not UTF-8 stand as lone surrogates."""

    sha: str
    name: str


def parse_refs(listing: bytes) -> Iterator[Ref]:
    """Yield the refs of a listing: one a line, object name, tab, ref.

    A name may hold what Unicode calls a line break, so only `\\n` ends a line.
    """
    for line in listing.decode("utf-8", "surrogateescape").split("\n"):
        sha, tab, name = line.partition("\t")
        if tab:
            yield Ref(sha, name)


def list_tags(git: Git) -> list[Ref]:
    """Return every tag of a repository."""
    return list(parse_refs(git.run("for-each-ref", "--format=%(objectname)%09%(refname)", "refs/tags")))


def write_packed_refs(git_directory: str, refs: Sequence[Ref]) -> None:
    """Give a fresh git directory these refs. Raises OSError."""
    if refs:
        with open(os.path.join(git_directory, "packed-refs"), "wb") as file:
            file.write(_PACKED_HEADER + b"".join(_packed(refs)))


def _packed(refs: Iterable[Ref]) -> Iterator[bytes]:
    return (f"{ref.sha} {ref.name}\n".encode("utf-8", "surrogateescape") for ref in refs)


def read_head(root: Root, git_directory: bytes) -> str | None:
    """Return the commit that HEAD of a git directory names; the directory is data here. Raises OSError and ValueError."""
    head = root.read(git_directory + b"/HEAD", _SMALL).strip()
    if match := re.fullmatch(_SYMBOLIC, head):
        head = _loose_ref(root, git_directory, match[1]) or _packed_ref(root, git_directory, match[1])
    return head.decode("ascii") if re.fullmatch(_SHA, head) else None


def read_gitfile(root: Root, path: bytes) -> bytes | None:
    """Return the git directory that a `.git` file names, as a path in `root`; None when it names none, or one outside. Raises OSError."""
    match = re.fullmatch(_GITFILE, root.read(path, _SMALL))
    directory = os.path.normpath(os.path.join(os.path.dirname(path), match[1])) if match else b""
    return None if directory.split(b"/")[0] in (b"", b"..") else directory


def write_gitfile(work_tree: str, git_directory: str) -> None:
    """Let a work tree's `.git` name its git directory, by a relative path. Raises OSError."""
    with open(os.path.join(work_tree, ".git"), "w", encoding="utf-8") as file:
        file.write(f"gitdir: {os.path.relpath(git_directory, work_tree)}\n")


def _loose_ref(root: Root, git_directory: bytes, ref: bytes) -> bytes:
    if b".." in ref.split(b"/"):
        raise ValueError("the ref leaves its directory")
    with contextlib.suppress(OSError):
        return root.read(git_directory + b"/" + ref, _SMALL).strip()
    return b""


def _packed_ref(root: Root, git_directory: bytes, ref: bytes) -> bytes:
    for line in root.read(git_directory + b"/packed-refs", _PACKED_LIMIT).split(b"\n"):
        sha, _, name = line.partition(b" ")
        if name == ref:
            return sha
    return b""
