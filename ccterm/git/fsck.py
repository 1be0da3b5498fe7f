"""Checks the objects that a run made as strictly as a server might. Older history is not checked: the run did not make it."""

import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from ccterm.git.git import Git, GitError, scratch
from ccterm.git.objects import borrow_objects

_COMPLAINT = r"(?:error|fatal): (?:object |in )?(?:tree |blob |commit )?([0-9a-f]{40,64}): (\w+): (.*)"


class Complaint(NamedTuple):
    """What git finds wrong with one object."""

    sha: str
    kind: str
    text: str


def pack_new(git: Git, commit: str, known: Sequence[str]) -> bytes:
    """Return a pack of what `commit` reaches and no commit of `known` does. It may name objects of these without holding them."""
    wanted = "".join(f"{sha}\n" for sha in (commit, *(f"^{sha}" for sha in known)))
    return git.run("pack-objects", "--quiet", "--revs", "--thin", "--delta-base-offset", "--stdout", stdin=wanted.encode())


def check_pack(git: Git, pack: bytes, commit: str, skip: Collection[str] = ()) -> list[Complaint]:
    """Return what is wrong with the objects of a pack from `pack_new`, except with those in `skip`. Raises GitError."""
    with _beside(git) as directory:  # indexed in an empty repository that can only look the old ones up
        assert git.directory
        empty = scratch(os.path.join(directory, "empty.git"), commit)
        borrow_objects(empty, git.directory)
        return _indexed(empty, directory, skip, "--fix-thin", "--stdin", stdin=pack)


def index_strictly(git: Git, pack: bytes, skip: Collection[str] = ()) -> list[Complaint]:
    """Index a pack into a git directory; return what is wrong with its objects, and then none of them is there. Raises GitError.

    What the pack leaves out must be there. skip: objects that may be faulty.
    """
    with _beside(git) as directory:
        return _indexed(git, directory, skip, "--fix-thin", "--stdin", stdin=pack)


@contextmanager
def _beside(git: Git) -> Iterator[str]:
    assert git.directory
    directory = os.path.abspath(os.path.join(git.directory, f"fsck-{os.getpid()}"))
    os.mkdir(directory)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _indexed(git: Git, directory: str, skip: Collection[str], *what: str, stdin: bytes = b"") -> list[Complaint]:
    # git splits this option at blanks, commas and bars, which a path may hold: it gets a plain name in the directory it is run in
    with open(os.path.join(directory, "skipped"), "w", encoding="ascii") as file:
        file.writelines(f"{sha}\n" for sha in sorted(skip))
    code, _, stderr = git.answer("-C", directory, "index-pack", "--strict=skiplist=skipped", *what, stdin=stdin)
    if not code:
        return []
    if found := [Complaint(*match.groups()) for line in stderr.split("\n") if (match := re.search(_COMPLAINT, line))]:
        return found
    raise GitError("git", f"the new objects are inconsistent: {stderr.strip()[-400:]}", stderr)
