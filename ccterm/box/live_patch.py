"""Prints the patch of what an agent has changed up to now: the step commit's own code on the tree as it is, in a scratch git directory.

The agent goes on working meanwhile: what is in the middle of a change is read again. The scratch directory borrows the objects of the clean
git directory, in which nothing is written. stdout: the patch, or its beginning; exit 1 with a sentence on stderr when there is none.
"""

import os
import shutil
import sys
import tempfile
import time
from typing import TYPE_CHECKING, TypedDict

from ccterm.box.checkpoint.staging import read_file
from ccterm.box.commit.commit import CommitStep
from ccterm.box.commit.walk import TooMany
from ccterm.git.bounded_json import read_json
from ccterm.git.git import GitError
from ccterm.git.rooted import Root

if TYPE_CHECKING:
    from ccterm.box.protocol import CommitRequest

_TRIES = 3
_PAUSE = 0.2
"""Seconds between two tries: a file was removed while it was read, as when a branch is checked out."""
_NICE = 10


class LivePatchRequest(TypedDict):
    """The step commit's request with absolute paths; `out` is not used. limit: how many bytes of the patch are printed."""

    commit: "CommitRequest"
    limit: int


def borrow(clean: str, scratch: str) -> None:
    """Make a git directory that has everything that a clean one has, and writes nothing there."""
    os.makedirs(os.path.join(scratch, "objects", "info"))
    with open(os.path.join(scratch, "objects", "info", "alternates"), "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(os.path.abspath(os.path.join(clean, "objects")) + "\n")
    for entry in os.scandir(clean):
        to = os.path.join(scratch, entry.name)
        if entry.is_dir() and entry.name != "objects":
            shutil.copytree(entry.path, to, symlinks=True)
        elif entry.is_file() and not entry.name.endswith((".lock", "index")):
            shutil.copy2(entry.path, to)


def live_patch(request: LivePatchRequest, scratch: str) -> bytes:
    """Return the patch; empty when nothing is changed. Raises GitError, OSError, TooMany."""
    clean, out = os.path.join(scratch, "clean.git"), os.path.join(scratch, "out")
    borrow(request["commit"]["clean"], clean)
    for tried in range(1, _TRIES + 1):
        shutil.rmtree(out, ignore_errors=True)
        try:
            with Root(request["commit"]["tree"]) as root:
                CommitStep({**request["commit"], "clean": clean, "out": out}, root).run()
            break
        except (GitError, OSError):
            if tried == _TRIES:
                raise
            time.sleep(_PAUSE)
    return beginning(read_file(os.path.join(out, "work.patch")), request["limit"])


def beginning(patch: bytes, limit: int) -> bytes:
    """Return the files of a patch that fit into so many bytes; of a first one that does not, its lines."""
    if len(patch) <= limit:
        return patch
    return patch[: max(patch.rfind(b"\ndiff --git ", 0, limit), 0) or patch.rfind(b"\n", 0, limit)] + b"\n"


def main() -> None:
    """Run as a program."""
    os.nice(_NICE)
    request: LivePatchRequest = read_json(read_file(sys.argv[-1]))
    scratch = tempfile.mkdtemp()
    try:
        patch = live_patch(request, scratch)
    except (GitError, OSError, TooMany, ValueError) as error:
        sys.exit(str(error) or "the tree holds too many paths")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stdout.buffer.write(patch)
