"""Reads and writes what names commits: lists of refs, HEAD, packed-refs, and the file that stands for a git directory elsewhere."""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ccterm.git.git import Git
from ccterm.git.rooted import Root

_SHA = rb"[0-9a-f]{40}(?:[0-9a-f]{24})?"
_IN_TABLES = ".invalid"
"""What HEAD names, for programs that do not know tables of refs, where HEAD is in such a table itself."""
_SYMBOLIC = rb"ref: (refs/[^\x00-\x20]+)"
_GITFILE = rb"gitdir: ([^\x00\n]+)\n?"
HEADS, TAGS, REMOTE = "refs/heads/", "refs/tags/", "refs/remotes/origin/"
_SMALL = 4096
_PACKED_LIMIT = 16 << 20
_LOG_LIMIT = 1 << 20
_PACKED_HEADER = b"# pack-refs with: peeled fully-peeled sorted \n"
"""As git writes it, with the blank at its end: a newer git refuses the file without it."""
_PEELED = "^{}"


class Ref(NamedTuple):
    """A ref as git lists it. In a name, bytes that are not UTF-8 stand as lone surrogates."""

    sha: str
    name: str
    peeled: str = ""
    """What an annotated tag names in the end; "" for any other ref, and where the listing does not tell."""


def parse_refs(listing: bytes) -> Iterator[Ref]:
    """Yield the refs of a listing: one a line, object name, tab, ref.

    A name may hold what Unicode calls a line break, so only `\\n` ends a line.
    """
    for line in listing.decode("utf-8", "surrogateescape").split("\n"):
        sha, tab, name = line.partition("\t")
        if tab:
            yield Ref(sha, name)


def stored_refs(git: Git, *prefixes: str) -> list[Ref]:
    """Return every ref of a repository whose name begins with one of these. Raises GitError."""
    refs: dict[str, Ref] = {}
    for line in git.run("show-ref", "--dereference", codes=(0, 1)).decode("utf-8", "surrogateescape").split("\n"):
        sha, _, name = line.partition(" ")
        if name.endswith(_PEELED):
            whole = name.removesuffix(_PEELED)
            refs[whole] = refs[whole]._replace(peeled=sha)
        elif name:
            refs[name] = Ref(sha, name)
    return [ref for name, ref in refs.items() if name.startswith(prefixes)]


def list_tags(git: Git) -> list[Ref]:
    """Return every tag of a repository. Raises GitError."""
    return stored_refs(git, TAGS)


def write_packed_refs(git_directory: str, refs: Sequence[Ref]) -> None:
    """Give a fresh git directory these refs, each with what it names in the end. Raises OSError."""
    if refs:
        with open(os.path.join(git_directory, "packed-refs"), "wb") as file:
            file.write(_PACKED_HEADER + b"".join(map(_packed, sorted(refs, key=_in_order))))


def _in_order(ref: Ref) -> bytes:
    return ref.name.encode("utf-8", "surrogateescape")


def _packed(ref: Ref) -> bytes:
    peeled = f"^{ref.peeled}\n" if ref.peeled else ""
    return f"{ref.sha} {ref.name}\n{peeled}".encode("utf-8", "surrogateescape")


def read_head(root: Root, git_directory: bytes, common: bytes | None = None) -> str | None:
    """Return the commit that HEAD of a git directory names; the directory is data here. Raises OSError and ValueError.

    common: the git directory that holds its branches, when that is another one.
    """
    head = root.read(git_directory + b"/HEAD", _SMALL).strip()
    if match := re.fullmatch(_SYMBOLIC, head):
        holder = git_directory if common is None else common
        head = _loose_ref(root, holder, match[1]) or _packed_ref(root, holder, match[1])
    return head.decode("ascii") if re.fullmatch(_SHA, head) else None


def checked_out(top: str) -> str | None:
    """Return the branch that the user's own working copy is on; "" when it is on none, None when only git can tell (reftable). Raises OSError."""
    directory = os.path.join(top, ".git")
    if os.path.isfile(directory):
        with open(directory, "rb") as file:
            found = re.fullmatch(_GITFILE, file.read(_SMALL))
        directory = os.path.join(top, os.fsdecode(found[1])) if found else directory
    with open(os.path.join(directory, "HEAD"), "rb") as file:
        match = re.fullmatch(_SYMBOLIC, file.read(_SMALL).strip())
    name = match[1].decode("utf-8", "replace").removeprefix(HEADS) if match else ""
    return None if name == _IN_TABLES else name


def read_gitfile(root: Root, path: bytes) -> bytes | None:
    """Return the git directory that a `.git` file names, as a path in `root`; None when it names none, or one outside. Raises OSError."""
    named = gitfile_target(root, path)
    directory = os.path.normpath(os.path.join(os.path.dirname(path), named)) if named else b""
    return None if directory.split(b"/")[0] in (b"", b"..") else directory


def gitfile_target(root: Root, path: bytes) -> bytes:
    """Return what a `.git` file names, as it is written there, or b"". Raises OSError."""
    match = re.fullmatch(_GITFILE, root.read(path, _SMALL))
    return match[1] if match else b""


def read_refs(root: Root, git_directory: bytes, most: int) -> Iterator[Ref]:
    """Yield every ref of a git directory, which is data here: each file below refs/, then what packed-refs adds. Symbolic ones are left out.

    Raises OverflowError after `most` files and directories, or when packed-refs is too large to be read.
    """
    seen, waiting = set[bytes](), [b"refs"]
    while waiting:
        if (most := most - 1) < 0:
            raise OverflowError
        name = waiting.pop()
        with contextlib.suppress(OSError):
            if root.node(git_directory + b"/" + name).is_directory:
                waiting += sorted((name + b"/" + each for each in root.list(git_directory + b"/" + name)), reverse=True)
            elif re.fullmatch(_SHA, sha := root.read(git_directory + b"/" + name, _SMALL).strip()):
                seen.add(name)
                yield Ref(sha.decode(), os.fsdecode(name))
    for name, sha in _packed_refs(root, git_directory):
        if name not in seen:
            yield Ref(sha.decode(), os.fsdecode(name))


def _packed_refs(root: Root, git_directory: bytes) -> Iterator[tuple[bytes, bytes]]:
    try:
        content = root.read(git_directory + b"/packed-refs", _PACKED_LIMIT + 1)
    except OSError:
        return
    if len(content) > _PACKED_LIMIT:
        raise OverflowError
    for line in content.split(b"\n"):
        sha, _, name = line.partition(b" ")
        if name.startswith(b"refs/") and re.fullmatch(_SHA, sha):
            yield name, sha


def read_stash(root: Root, git_directory: bytes) -> list[str]:
    """Return the commits of the stash of a git directory, which is data here, the newest first. Raises OverflowError."""
    try:
        log = root.read(git_directory + b"/logs/refs/stash", _LOG_LIMIT + 1)
    except OSError:
        return []
    if len(log) > _LOG_LIMIT:
        raise OverflowError
    made = (line.split(b" ", 2)[1:2] for line in log.split(b"\n"))
    return [sha.decode() for [sha] in reversed([each for each in made if each]) if re.fullmatch(_SHA, sha)]


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
