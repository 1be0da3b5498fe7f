"""What single paths do not show: which changes let a link lead out of a working copy, or make a directory a repository that git enters."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from ccterm.git.diff import RawChange
from ccterm.git.git import Git
from ccterm.git.hazards import PARTS, Repositories, leaving_links, may_be_repository
from ccterm.git.names import folded
from ccterm.git.objects import read_blobs
from ccterm.git.tree import LINK, TreeEntry, parents, read_tree

_Wrong = dict[bytes, tuple[str, str]]


class TreeCheck:
    """Compares the trees of two commits, `root` being the working copy: it also holds what no snapshot has, because it is ignored."""

    def __init__(self, git: Git, root: Path, base: str, commit: str) -> None:
        self._git, self._root, self._base, self._commit = git, root, base, commit

    def wrong(self, changes: Sequence[RawChange], held: Collection[bytes]) -> _Wrong:
        """Return path -> rule and detail of each change that must not be applied. held: what the snapshot holds. Raises GitError."""
        added = [change.path for change in changes if change.new_mode and change.path not in held]
        found = self._repositories(added, held)
        if any(LINK in (change.old_mode, change.new_mode) for change in changes):
            for path, why in self._links().items():
                found |= {each.path: ("symlink", why) for each in changes if each.path == path or each.path.startswith(path + b"/")}
        return found

    def _links(self) -> dict[bytes, str]:
        before, after = (read_tree(self._git, commit) for commit in (self._base, self._commit))
        return leaving_links(
            self._targets(before), self._targets(after), lambda path: None if path in after or path in before else self._on_disk(path)
        )

    def _targets(self, entries: dict[bytes, TreeEntry]) -> dict[bytes, bytes]:
        links = {path: entry.sha for path, entry in entries.items() if entry.mode == LINK}
        return dict(zip(links, read_blobs(self._git, list(links.values())), strict=True))

    def _on_disk(self, path: bytes) -> bytes | None:
        try:
            return os.fsencode((self._root / os.fsdecode(path)).readlink())
        except OSError:
            return None

    def _repositories(self, added: Collection[bytes], held: Collection[bytes]) -> _Wrong:
        had, new = Repositories(held), Repositories(added)
        found: _Wrong = {path: ("nested", "configures a repository inside the repository") for path in added if had.steered_by(path)}
        directories = {above for path in added for whole in (path, *parents(path)) for above in [_above(whole)] if above is not None}
        for directory in directories:
            beside = self._list(directory)
            before = {*had.names(directory), *beside}
            if may_be_repository([*before, *new.names(directory)]) and not may_be_repository(before):
                inside = [path for path in added if path.startswith(directory + b"/" if directory else b"")]
                inside = inside if directory else [path for path in inside if folded(path.partition(b"/")[0]) in PARTS]
                found |= dict.fromkeys(inside, ("nested", "makes git take the directory for a repository"))
        return found

    def _list(self, directory: bytes) -> Sequence[bytes]:
        try:
            return [os.fsencode(each.name) for each in (self._root / os.fsdecode(directory)).iterdir()]
        except OSError:
            return []


def _above(path: bytes) -> bytes | None:
    """Return the directory of a path that is a part of a repository, else None."""
    above, _, name = path.rpartition(b"/")
    return above if folded(name) in PARTS else None
