"""Brings kept work onto the commit that a tree was checked out from, by a three-way merge in a repository of its own.

The tree's own git directory and the clean one stay as they are: for the agent, and for the commit step, the earlier work is a change.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ccterm.box.frames import Frames, carry_out
from ccterm.box.overlay import lay_over
from ccterm.git.bundle import take_bundle
from ccterm.git.git import Git, GitError, as_git_error, init
from ccterm.git.names import shown
from ccterm.git.objects import borrow_objects, read_blobs

if TYPE_CHECKING:
    from ccterm.box.checkout.messages import MergeReport, MergeRequest

_FILES = ("100644", "100755")
_NAMED = 20
"""How many conflicting paths are named."""


class Side(NamedTuple):
    """One version of a path that both sides changed."""

    mode: str
    sha: str


def merge(_frames: Frames, request: "MergeRequest") -> "MergeReport":
    """Carry out the request."""
    try:
        return _merge(request)
    except (GitError, OSError) as error:
        fault = as_git_error(error)
        return {"ok": False, "reason": fault.reason, "detail": fault.detail}


def _merge(request: "MergeRequest") -> "MergeReport":
    tip = request["tip"]
    if merged := request.get("merged"):
        lay_over(request["clean"], request["tree"], merged, tip, changed_only=True)
        return {"ok": True}
    commit, base = request["commit"], request["base"]
    git = init(os.path.abspath("merge.git"), commit, "work")
    borrow_objects(git, request["clean"])
    if base is not None and git.answer("cat-file", "-e", f"{base}^{{commit}}")[0]:
        return {"ok": False, "reason": "base", "detail": f"the commit {base[:12]} that the work builds on is not in the branch's history"}
    take_bundle(git, request["bundle"], commit)
    tree, conflicts = merge_trees(git, base, tip, commit)
    if conflicts:
        more = f" and {len(conflicts) - _NAMED} more" if len(conflicts) > _NAMED else ""
        return {"ok": False, "reason": "merge", "detail": ", ".join(shown(path) for path in conflicts[:_NAMED]) + more}
    assert git.directory
    lay_over(git.directory, request["tree"], tree, tip, changed_only=True)
    return {"ok": True}


def merge_trees(git: Git, base: str | None, ours: str | None, theirs: str) -> tuple[str, Sequence[bytes]]:
    """Merge two commits; return the name of the merged tree, and the paths in conflict. Raises GitError.

    base: the commit both sides are compared with, None = nothing. A rename on one side is a deletion and an addition.
    """
    empty = git.text("mktree")
    index = git.with_env({"GIT_INDEX_FILE": os.path.abspath(f"merge-{os.getpid()}.index")})
    index.run("read-tree", "-i", "-m", "--aggressive", base or empty, ours or empty, theirs)
    conflicts = []
    for path, sides in _unmerged(index).items():
        merged = _merge_files(git, sides)
        if merged is None:
            conflicts.append(path)
            continue
        lines = b"0 %s 0\t%s\0%s %s 0\t%s\0" % (b"0" * len(theirs), path, merged.mode.encode(), merged.sha.encode(), path)
        index.run("update-index", "-z", "--index-info", stdin=lines)
    return ("", conflicts) if conflicts else (index.text("write-tree"), ())


def _unmerged(index: Git) -> dict[bytes, dict[int, Side]]:
    """Return path -> stage -> version of what git left to be merged: 1 the base, 2 ours, 3 theirs."""
    found: dict[bytes, dict[int, Side]] = {}
    for line in index.fields("ls-files", "--unmerged", "-z"):
        about, _, path = line.partition(b"\t")
        mode, sha, stage = about.decode("ascii").split(" ")
        found.setdefault(path, {})[int(stage)] = Side(mode, sha)
    return found


def _merge_files(git: Git, sides: dict[int, Side]) -> Side | None:
    """Merge the versions of a file by lines; None = they are in conflict, or not all files. What is new on both sides has an empty base."""
    if not sides.keys() >= {2, 3} or any(side.mode not in _FILES for side in sides.values()):
        return None
    ours, theirs = sides[2], sides[3]
    base = sides.get(1)
    if base is None and ours.mode != theirs.mode:
        return None
    contents = read_blobs(git, [side.sha for side in (ours, theirs, *([base] if base else []))])
    names = [os.path.abspath(f"merge-{os.getpid()}.{name}") for name in ("ours", "theirs", "base")]
    for name in names:
        with open(name, "wb") as file:
            file.write(next(contents, b""))
    code, merged, _ = git.answer("merge-file", "--stdout", "--quiet", names[0], names[2], names[1])
    if code:  # the number of conflicts, or an error, as for binary files
        return None
    mode = theirs.mode if base and ours.mode == base.mode else ours.mode
    return Side(mode, git.text("hash-object", "-w", "--stdin", stdin=merged))


def main() -> None:
    """Run as a step program."""
    carry_out(merge)
