"""Reads bundles: files from strangers that carry commits. Their objects come into a repository only through all of git's checks."""

from collections.abc import Mapping
from typing import IO

from ccterm.git.fsck import index_strictly
from ccterm.git.git import WORK_REF, Git, GitError

_LONGEST_LINE = 1 << 16


def read_refs(file: IO[bytes]) -> Mapping[str, str]:
    """Read a bundle's head, up to its pack; return ref -> commit. Raises ValueError when it has none, or one with a line without end."""
    refs: dict[str, str] = {}
    line = file.readline(_LONGEST_LINE)
    if not line.startswith(b"# v"):
        raise ValueError("it is no bundle")
    while (line := file.readline(_LONGEST_LINE)) not in (b"\n", b""):
        if not line.endswith(b"\n"):
            raise ValueError("a line of its head is too long")
        if not line.startswith((b"-", b"@")):  # what it builds on, and its format
            sha, _, name = line.rstrip(b"\n").partition(b" ")
            refs[name.decode("utf-8", "surrogateescape")] = sha.decode("ascii", "replace")
    return refs


def take_bundle(git: Git, path: str, commit: str) -> None:
    """Index what a bundle holds of a run's commit into a git directory of ours, which has the rest. Raises GitError and OSError.

    git names each object by its content, and requires that it is well-formed and that nothing it names is missing; a fetch from a bundle
    would do without. So the name of the commit is the digest of all that comes in. Objects that the directory has already may be faulty:
    old histories hold such.
    """
    with open(path, "rb") as file:
        try:
            refs = read_refs(file)
        except ValueError as error:
            raise GitError("git", f"the bundle cannot be read: {error}") from error
        if refs.get(WORK_REF) != commit:
            raise GitError("git", f"the bundle does not hold commit {commit}")
        pack = file.read()
    known: set[str] = set()
    while complaints := index_strictly(git, pack, known):
        faulty = {complaint.sha for complaint in complaints}
        if faulty <= known or not all(git.succeeds("cat-file", "-e", sha) for sha in faulty):
            raise GitError("git", f"the bundle holds objects that git rejects: {complaints[0].text}")
        known |= faulty
