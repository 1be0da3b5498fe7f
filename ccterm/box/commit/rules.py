"""The rules for what may enter a commit. Only what this run added or changed is checked, never what the repository held before."""

from itertools import chain

from ccterm.box.commit.compare import Delta, covered
from ccterm.box.commit.walk import RefusedPath
from ccterm.git.git import Git
from ccterm.git.hazards import Repositories, leaving_links
from ccterm.git.names import folded, is_dotgit, is_gitmodules, shown, too_deep, unfit
from ccterm.git.objects import read_blobs
from ccterm.git.rooted import FileNode, Root
from ccterm.git.tree import GITLINK, LINK, Base, directories_above, parents


class CommitRules:
    """Applies the rules to one delta. What is wrong in the tree is a refusal, never an exception."""

    def __init__(self, git: Git, root: Root, base: Base, *, max_file: int, max_total: int) -> None:
        self._git, self._root, self._base = git, root, base
        self._repositories = Repositories(base.entries)
        self._max_file, self._max_total = max_file, max_total
        self._above_submodules = {above for path, entry in base.entries.items() if entry.mode == GITLINK for above in parents(path)}

    def refusals(self, delta: Delta) -> list[RefusedPath]:
        """Return what must stay out of the commit, in addition to what the walk and the comparison refused."""
        refused = self._links(delta)
        refused += [found for path, node in delta.nodes.items() if (found := self._path(path, node, added=path in delta.added))]
        out = {refusal.path for refusal in refused}
        refused += self._case_collisions(delta, out)
        return refused + self._too_much(delta, out | {refusal.path for refusal in refused})

    def _path(self, path: bytes, node: FileNode, *, added: bool) -> RefusedPath | None:
        if added and (wrong := self._name(path)):
            return RefusedPath(wrong[0], path, wrong[1])
        if not node.git_mode:
            return RefusedPath("special", path, "is neither a regular file nor a symbolic link")
        if node.is_file and node.size > self._max_file:
            return RefusedPath("size", path, f"{node.size:,} bytes; at most {self._max_file:,} are allowed")
        if path in self._above_submodules:
            return RefusedPath("gitlink", path, "takes the place of a submodule's directory")
        if b"/" in path and self._repositories.steered_by(path):
            return RefusedPath("nested", path, "configures a repository inside the repository")
        return None

    def _name(self, path: bytes) -> tuple[str, str] | None:
        """Check the components that the base does not have yet."""
        if deep := too_deep(path):
            return "depth", deep
        for whole in (path, *parents(path)):
            name = whole.rpartition(b"/")[2]
            if whole in self._base.directories:
                break
            if is_dotgit(name):
                return "dotgit", "some systems take this name for .git"
            if wrong := unfit(name):
                return "name", wrong
        return None

    def _links(self, delta: Delta) -> list[RefusedPath]:
        """Follow the links through those of the new tree: a changed one may lead out of it, or make another do so."""
        before = {path: entry.sha for path, entry in self._base.entries.items() if entry.mode == LINK}
        changed = {path: node for path, node in delta.nodes.items() if node.is_link}
        gone = before.keys() & (delta.missing | delta.changed.keys())
        if not changed and not gone:
            return []
        old = dict(zip(before, read_blobs(self._git, list(before.values())), strict=True))
        new = {path: target for path, target in old.items() if path not in gone}
        refused = []
        for path in changed:
            try:
                new[path] = self._root.link(path)
            except OSError as error:
                refused.append(RefusedPath("symlink", path, f"cannot be read: {error.strerror}"))
            if is_gitmodules(path.rpartition(b"/")[2]):
                refused.append(RefusedPath("symlink", path, "git requires .gitmodules to be a regular file"))
        for path, why in leaving_links(old, new).items():
            refused.append(RefusedPath("symlink", path, why))
            refused += [
                RefusedPath("symlink", each, f"takes the place of {shown(path)}") for each in delta.added if each.startswith(path + b"/")
            ]
        return refused

    def _case_collisions(self, delta: Delta, out: set[bytes]) -> list[RefusedPath]:
        added = [path for path in sorted(delta.added) if path not in out]
        if not added:
            return []
        first: dict[bytes, bytes] = {}
        kept = self._base.entries.keys() - delta.missing
        for path in chain(kept, directories_above(kept)):
            first.setdefault(folded(path), path)
        others = ((path, self._collides_with(path, first)) for path in added)
        return [RefusedPath("case_collision", path, f"some systems, or the eye, take it for {other}") for path, other in others if other]

    def _collides_with(self, path: bytes, first: dict[bytes, bytes]) -> str:
        """Return the path that some file system takes for this one, or "". first: folded path -> the path that had it first."""
        for whole in (path, *parents(path)):
            if self._base.has(whole):
                break
            other = first.setdefault(folded(whole), whole)
            if other != whole:
                return shown(other)
        return ""

    def _too_much(self, delta: Delta, out: set[bytes]) -> list[RefusedPath]:
        total, refused = 0, []
        for path, node in sorted(delta.nodes.items()):
            if not node.is_file or covered(path, out):
                continue
            if total + node.size > self._max_total:
                refused.append(RefusedPath("total", path, f"more than {self._max_total:,} new bytes in total"))
            else:
                total += node.size
        return refused
