"""Sees to it that a run leaves submodules alone: their commits are the base's, and a change below one is refused by name."""

import os
import re

from ccterm.box.checkout.submodules import module_directory
from ccterm.box.commit.compare import Comparison
from ccterm.box.commit.conversions import Conversions
from ccterm.box.commit.subject import head_of
from ccterm.box.commit.walk import Found, Refused, Walk, ignored_by
from ccterm.git.git import Git
from ccterm.git.names import shown
from ccterm.git.rooted import Root
from ccterm.git.tree import GITLINK, Base, read_base

_GITDIR = re.compile(rb"gitdir: ([^\x00\n]+)\n?")


class Submodules:
    """Looks at the submodules of one commit, recursively."""

    def __init__(self, clean: str, tree: str, notes: list[str]) -> None:
        self.clean, self.tree, self.notes = clean, tree, notes
        self.refused: list[Refused] = []

    def check(self, root: Root, base: Base, found: Found, above: bytes = b"") -> None:
        """Refuse what is not as the base says. `above` is where `root` lies in the tree, with a slash. Raises GitError, OSError."""
        for relative in sorted(path for path, entry in base.entries.items() if entry.mode == GITLINK and path not in found.submodules):
            self.notes.append(f"submodule {shown(above + relative)} was removed; the commit keeps it")
        for relative, node in sorted(found.submodules.items()):
            path = above + relative
            if not node.is_directory:
                self._refuse(path, "was replaced by something else")
            elif not (names := root.list(relative)):
                continue  # not asked for: git leaves it empty
            elif os.path.isdir(module_directory(self.clean, path)):
                self._compare(path, base.entries[relative].sha)
            elif b".git" in names and self._head(path) == base.entries[relative].sha.encode():
                self.notes.append(f"submodule {shown(path)} was fetched by the agent; what it changed in there is not taken")
            else:
                self._refuse(path, "is a submodule that the agent filled or moved to another commit")

    def _compare(self, path: bytes, commit: str) -> None:
        """Compare a submodule that checkout brought with the commit that it brought."""
        directory = module_directory(self.clean, path)
        where = os.path.join(os.fsencode(self.tree), path)
        with Root(self.tree) as top:
            top.directory(path)  # no component is a link
        with Root(where) as root:
            base = read_base(Git(directory), commit)
            found = Walk(root, base, ignored_by(Git(directory, work_tree=os.fsdecode(where)))).run()
            delta = Comparison(Git(directory), root, base, largest=1 << 62).delta(found)
            with Conversions(directory, root, base) as conversions:
                conversions.settle(delta, lfs=False)
            for changed in sorted({*delta.nodes, *delta.missing, *(refused.path for refused in delta.refused)}):
                self._refuse(path + b"/" + changed, f"lies in the submodule {shown(path)}")
            self.check(root, base, found, path + b"/")

    def _head(self, path: bytes) -> bytes | None:
        """Return the commit that a submodule's own HEAD names, read as bytes."""
        try:
            with Root(self.tree) as top:
                if top.node(path + b"/.git").is_directory:
                    return head_of(top, path + b"/.git")
                if match := _GITDIR.fullmatch(top.read(path + b"/.git", 4096)):
                    return head_of(top, os.path.normpath(os.path.join(path, match[1])))
        except (OSError, ValueError):
            return None
        return None

    def _refuse(self, path: bytes, detail: str) -> None:
        self.refused.append(Refused("gitlink", path, detail))
