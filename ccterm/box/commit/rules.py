"""Judges what would enter a commit: only what this run added or changed; a repository is not punished for what it already holds."""

from ccterm.box.commit.compare import Delta, covered
from ccterm.box.commit.walk import Refused
from ccterm.git.names import folded, is_dotgit, is_gitmodules, link_leaves, too_deep, unfit
from ccterm.git.rooted import Node, Root
from ccterm.git.tree import GITLINK, Base, parents


class Judge:
    """Applies the rules to one delta. Raises nothing for what lies in the tree: that is a refusal."""

    def __init__(self, root: Root, base: Base, *, max_file: int, max_total: int) -> None:
        self._root, self._base = root, base
        self._max_file, self._max_total = max_file, max_total
        self._above_submodules = {above for path, entry in base.entries.items() if entry.mode == GITLINK for above in parents(path)}

    def refusals(self, delta: Delta) -> list[Refused]:
        """Return what must stay out of the commit, beyond what the walk and the comparison refused already."""
        refused = [found for path, node in delta.nodes.items() if (found := self._path(path, node, added=path in delta.added))]
        out = {refusal.path for refusal in refused}
        refused += self._twins(delta, out)
        return refused + self._too_much(delta, out | {refusal.path for refusal in refused})

    def _path(self, path: bytes, node: Node, *, added: bool) -> Refused | None:
        if added and (wrong := self._name(path)):
            return Refused(wrong[0], path, wrong[1])
        if not node.git_mode:
            return Refused("special", path, "is neither a regular file nor a symbolic link")
        if node.is_link and (why := self._link(path)):
            return Refused("symlink", path, why)
        if node.is_file and node.size > self._max_file:
            return Refused("size", path, f"{node.size:,} bytes; at most {self._max_file:,} are taken")
        if path in self._above_submodules:
            return Refused("gitlink", path, "takes the place of a submodule's directory")
        if b"/" in path and self._steers_repository(path):
            return Refused("nested", path, "configures a repository inside the repository")
        return None

    def _name(self, path: bytes) -> tuple[str, str] | None:
        """Judge the components that the base does not have yet."""
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

    def _link(self, path: bytes) -> str:
        if is_gitmodules(path.rpartition(b"/")[2]):
            return "git wants .gitmodules to be a regular file"
        try:
            return link_leaves(path, self._root.link(path))
        except OSError as error:
            return f"cannot be read: {error.strerror}"

    def _steers_repository(self, path: bytes) -> bool:
        """Whether a path is the configuration or a hook of something that looks like a bare repository in the base already."""
        parent, _, name = path.rpartition(b"/")
        if name == b"config" and self._base.looks_like_repository(parent):
            return True
        above, _, directory = parent.rpartition(b"/")
        return directory == b"hooks" and self._base.looks_like_repository(above)

    def _twins(self, delta: Delta, out: set[bytes]) -> list[Refused]:
        added = [path for path in sorted(delta.added) if path not in out]
        if not added:
            return []
        owners: dict[bytes, bytes] = {}
        for path in self._base.entries.keys() - delta.missing:
            for whole in (path, *parents(path)):
                owners.setdefault(folded(whole), whole)
        return [Refused("twin", path, f"some systems take it for {other}") for path in added if (other := self._twin_of(path, owners))]

    def _twin_of(self, path: bytes, owners: dict[bytes, bytes]) -> str:
        for whole in (path, *parents(path)):
            if self._base.has(whole):
                break
            owner = owners.setdefault(folded(whole), whole)
            if owner != whole:
                return owner.decode("utf-8", "backslashreplace")
        return ""

    def _too_much(self, delta: Delta, out: set[bytes]) -> list[Refused]:
        total, refused = 0, []
        for path, node in sorted(delta.nodes.items()):
            if not node.is_file or covered(path, out):
                continue
            if total + node.size > self._max_total:
                refused.append(Refused("total", path, f"more than {self._max_total:,} new bytes in all"))
            else:
                total += node.size
        return refused
