"""Makes sure that a run leaves submodules alone: their commits are the base's, and each change inside one is refused by name."""

import os

from ccterm.box.checkout.trees import module_directory
from ccterm.box.commit.compare import Comparison
from ccterm.box.commit.conversions import Conversions
from ccterm.box.commit.walk import Found, RefusedPath, Walk
from ccterm.git.git import Git
from ccterm.git.names import shown
from ccterm.git.patterns import ignored_by
from ccterm.git.refs import read_gitfile, read_head
from ccterm.git.rooted import Root
from ccterm.git.tree import GITLINK, Base, read_base


class SubmoduleCheck:
    """Compares the submodules of one tree with its base, recursively."""

    def __init__(self, clean: str, tree: str, notes: list[str]) -> None:
        self.clean, self.tree, self.notes = clean, tree, notes
        self.refused: list[RefusedPath] = []

    def check(self, root: Root, base: Base, found: Found, above: bytes = b"") -> None:
        """Refuse what differs from the base. `above` is where `root` is in the tree, with a trailing slash. Raises GitError, OSError."""
        for relative in sorted(
            path
            for path, entry in base.entries.items()
            if entry.mode == GITLINK and path not in found.submodules and path not in found.unchanged
        ):
            self.notes.append(f"submodule {shown(above + relative)} was removed; the commit keeps it")
        for relative, node in sorted(found.submodules.items()):
            path = above + relative
            if not node.is_directory:
                self._refuse(path, "was replaced by something else")
            elif not (names := root.list(relative)):
                continue  # not requested: git leaves it empty
            elif os.path.isdir(module_directory(self.clean, path)):
                self._compare(path, base.entries[relative].sha)
            elif b".git" in names and self._head(path) == base.entries[relative].sha:
                self.notes.append(f"submodule {shown(path)} was fetched by the agent; its changes in there are not taken")
            else:
                self._refuse(path, "is a submodule that the agent filled or moved to another commit")

    def _compare(self, path: bytes, commit: str) -> None:
        """Compare a submodule with the commit that the step checkout brought."""
        directory = module_directory(self.clean, path)
        where = os.path.join(os.fsencode(self.tree), path)
        with Root(self.tree, hostile=True) as top:
            top.directory(path)  # raises when a component is a link
        with Root(where, hostile=True) as root:
            base = read_base(Git(directory), commit)
            found = Walk(root, base, ignored_by(Git(directory, work_tree=os.fsdecode(where)))).run()
            delta = Comparison(Git(directory), root, base, largest=1 << 62).delta(found)
            with Conversions(directory, root, base) as conversions:
                conversions.settle(delta, lfs=False)
            for changed in sorted({*delta.nodes, *delta.missing, *(refused.path for refused in delta.refused)}):
                self._refuse(path + b"/" + changed, f"is in the submodule {shown(path)}")
            self.check(root, base, found, path + b"/")

    def _head(self, path: bytes) -> str | None:
        """Return the commit that a submodule's own HEAD names, read as bytes."""
        try:
            with Root(self.tree, hostile=True) as top:
                directory = path + b"/.git"
                linked = directory if top.node(directory).is_directory else read_gitfile(top, directory)
                return read_head(top, linked) if linked else None
        except (OSError, ValueError):
            return None

    def _refuse(self, path: bytes, detail: str) -> None:
        self.refused.append(RefusedPath("gitlink", path, detail))
