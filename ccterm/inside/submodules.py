"""Brings submodules along at their recorded commits: from the repository's own host only, and with no credential left anywhere."""

import hashlib
import os

from ccterm.inside.base import read_base
from ccterm.inside.git import Git, GitError, init
from ccterm.inside.gitmodules import Submodule, module_directory, resolved, submodules_of
from ccterm.inside.mirror import Mirror, fetch
from ccterm.inside.names import shown
from ccterm.inside.remote import Remote
from ccterm.inside.rooted import Root
from ccterm.inside.trees import configure, copy_objects, make_clean

_DEEPEST = 8


class Submodules:
    """Fetches the submodules of one checkout, recursively. `mirror` is the mirror directory, or None."""

    def __init__(self, clean: str, tree: str, mirror: str | None, notes: list[str]) -> None:
        self.clean, self.tree, self.mirror, self.notes = clean, tree, mirror, notes

    def bring(self, git: Git, commit: str, remote: Remote, above: bytes = b"", depth: int = 0) -> None:
        """Bring all submodules of a commit. Raises GitError(submodule) when one on the same host cannot be had."""
        if depth > _DEEPEST:
            raise GitError("submodule", f"submodules nested more than {_DEEPEST} deep at {shown(above)}")
        base = read_base(git, commit)
        for submodule in submodules_of(git, base):
            path = above + submodule.path
            try:
                source = _source(submodule, remote)
            except GitError as error:
                self.notes.append(f"submodule {shown(path)} stays empty: {error.detail}")
                continue
            module = self._fetch(submodule, path, source)
            self._check_out(submodule, path, module)
            self.bring(module, submodule.commit, source, path + b"/", depth + 1)

    def _fetch(self, submodule: Submodule, path: bytes, source: Remote) -> Git:
        directory = module_directory(self.clean, path)
        try:
            if self.mirror is None:
                module = init(directory, submodule.commit, "main")
                fetch(source, directory, submodule.commit)
                return module
            place = os.path.join(self.mirror, "modules", hashlib.sha256(source.url.encode()).hexdigest()[:24])
            with Mirror(place, source).holding(submodule.commit) as (git, _):
                return make_clean(git, directory, submodule.commit, "main")
        except GitError as error:
            raise GitError("submodule", f"submodule {shown(path)} cannot be fetched ({error.reason}): {error.detail}") from error

    def _check_out(self, submodule: Submodule, path: bytes, module: Git) -> None:
        with Root(self.tree) as root:
            if root.list(path):  # opens without following links, so the path is what it seems
                raise GitError("submodule", f"submodule {shown(path)}: its directory is not empty")
        where = os.path.join(self.tree, os.fsdecode(path))
        private = os.path.join(self.tree, ".git", "modules", os.path.basename(module_directory("", path)))
        init(private, submodule.commit, "main")
        copy_objects(module, private)
        git = Git(private, work_tree=where)
        git.run("config", "core.bare", "false")
        git.run("config", "core.worktree", os.path.relpath(where, private))
        configure(git)
        git.run("update-ref", "--no-deref", "HEAD", submodule.commit)
        with open(os.path.join(where, ".git"), "w", encoding="utf-8") as file:
            file.write(f"gitdir: {os.path.relpath(private, where)}\n")
        git.run("read-tree", "--reset", "-u", "HEAD")


def _source(submodule: Submodule, parent: Remote) -> Remote:
    if not submodule.url:
        raise GitError("submodule", ".gitmodules gives no address for it")
    return parent.sibling(resolved(submodule.url, parent.url))
