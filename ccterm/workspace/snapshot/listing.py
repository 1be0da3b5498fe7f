"""Which paths a snapshot takes: what git tracks and what it does not ignore, plus the ignored files that the user asked for by name."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ccterm.git.git import Git

INCLUDE_FILE = b".worktreeinclude"
_GITLINK = b"160000"


@dataclass
class Listing:
    """Paths, sorted. submodules: path -> commit. nested: directories that are repositories of their own."""

    paths: list[bytes]
    submodules: dict[bytes, str] = field(default_factory=dict)
    nested: list[bytes] = field(default_factory=list)

    def leave_out(self, root: Path, directory: Path) -> None:
        """Leave out what lies below a directory: ccterm's own files, should their place be in the working copy."""
        if directory.is_relative_to(root):
            inside = os.fsencode(directory.relative_to(root)) + b"/"
            self.paths = [path for path in self.paths if not path.startswith(inside)]


def list_paths(git: Git, excludes_file: str) -> Listing:
    """Ask git for the paths of a snapshot. Raises GitError."""
    tracked: dict[bytes, str] = {}
    submodules: dict[bytes, str] = {}
    for line in git.fields("ls-files", "--stage", "-z"):
        about, _, path = line.partition(b"\t")
        mode, sha, _ = about.split(b" ")
        (submodules if mode == _GITLINK else tracked)[path] = sha.decode()
    others = git.fields("-c", f"core.excludesFile={excludes_file}", "ls-files", "--others", "--exclude-standard", "-z")
    nested = [path.rstrip(b"/") for path in others if path.endswith(b"/")]
    fresh = [path for path in others if not path.endswith(b"/")]
    return Listing(sorted({*tracked, *fresh}), submodules, nested)


def list_included(git: Git, globs: Sequence[str], listing: Listing) -> list[bytes]:
    """Return the ignored files that globs, or a .worktreeinclude, name. Raises GitError."""
    asked = [word for glob in globs for word in ("--exclude", glob)]
    if INCLUDE_FILE in listing.paths:
        asked.append(f"--exclude-from={os.path.join(_root(git), INCLUDE_FILE.decode())}")  # noqa: PTH118 - for git, as text
    if not asked:
        return []
    taken = set(listing.paths)
    found = git.fields("ls-files", "--others", "--ignored", "-z", *asked)
    return sorted(path for path in found if path not in taken and not path.endswith(b"/"))


def _root(git: Git) -> str:
    return git.text("rev-parse", "--show-toplevel")
