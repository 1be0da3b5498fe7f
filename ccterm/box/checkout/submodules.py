"""Fetches submodules at their recorded commits: from the repository's own host only, and leaving no credential anywhere.

A .gitmodules may name any repository that the user can read. So the credential is lent to those that the user permitted; others are
fetched as anybody could fetch them.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ccterm.box.checkout.mirror import Mirror, fetch
from ccterm.box.checkout.trees import configure, copy_objects, make_clean, module_directory
from ccterm.git.address import resolve_relative
from ccterm.git.git import Git, GitError, init
from ccterm.git.names import shown
from ccterm.git.refs import write_gitfile
from ccterm.git.remote import Remote
from ccterm.git.rooted import Root
from ccterm.git.tree import GITLINK, Base, read_base

_DEEPEST = 8
_PERMIT = "to lend it your access, name it in submodules = [...] in the settings of this repository"


class Submodule(NamedTuple):
    """One submodule of a commit; url as in .gitmodules, name and url "" when that has nothing on it."""

    path: bytes
    commit: str
    name: str
    url: str


class SubmoduleCheckout:
    """Fetches and checks out the submodules of one checkout, recursively.

    mirror: the mirror directory, or None. permitted: the repositories that are fetched with the credential, as `Remote.sibling` takes them.
    """

    def __init__(self, clean: str, tree: str, mirror: str | None, notes: list[str], permitted: Sequence[str] = ()) -> None:
        self.clean, self.tree, self.mirror, self.notes, self.permitted = clean, tree, mirror, notes, permitted

    def bring(self, git: Git, commit: str, remote: Remote, above: bytes = b"", depth: int = 0) -> None:
        """Bring all submodules of a commit. Raises GitError(submodule) when one on the same host cannot be fetched."""
        if depth > _DEEPEST:
            raise GitError("submodule", f"submodules nested more than {_DEEPEST} deep at {shown(above)}")
        base = read_base(git, commit)
        for submodule in submodules_of(git, base):
            path = above + submodule.path
            try:
                source = self._source(submodule, remote)
            except GitError as error:
                if error.reason == "permission":
                    raise GitError("submodule", f"submodule {shown(path)} cannot be fetched: {error.detail}; {_PERMIT}") from error
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
            key = f"{'anonymous ' if source.anonymous else ''}{source.url}"  # what a credential brought is not there without it
            kept = os.path.join(self.mirror, "modules", hashlib.sha256(key.encode()).hexdigest()[:24])
            with Mirror(kept, source).holding(submodule.commit) as (git, _):
                return make_clean(git, directory, submodule.commit, "main")
        except GitError as error:
            more = f"; it is another repository and was asked for without your token; {_PERMIT}" if source.anonymous else ""
            raise GitError("submodule", f"submodule {shown(path)} cannot be fetched ({error.reason}): {error.detail}{more}") from error

    def _source(self, submodule: Submodule, parent: Remote) -> Remote:
        if not submodule.url:
            raise GitError("submodule", ".gitmodules gives no address for it")
        return parent.sibling(resolve_relative(submodule.url, parent.url), self.permitted)

    def _check_out(self, submodule: Submodule, path: bytes, module: Git) -> None:
        with Root(self.tree, hostile=True) as root:
            if root.list(path):  # opened without following links
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
        write_gitfile(where, private)
        git.run("read-tree", "--reset", "-u", "HEAD")


_KEY = re.compile(rb"submodule\.(.*)\.(path|url)", re.DOTALL)


def submodules_of(git: Git, base: Base) -> Iterator[Submodule]:
    """Yield the submodules of a commit, ordered by path. Raises GitError."""
    links = {path: entry.sha for path, entry in base.entries.items() if entry.mode == GITLINK}
    if not links:
        return
    described = _described(git, base)
    for path, sha in sorted(links.items()):
        name, url = described.get(path, ("", ""))
        yield Submodule(path, sha, name, url)


def _described(git: Git, base: Base) -> dict[bytes, tuple[str, str]]:
    if (entry := base.entries.get(b".gitmodules")) is None:
        return {}
    sections: dict[bytes, dict[bytes, bytes]] = {}
    for field in git.fields("config", "-z", f"--blob={entry.sha}", "--get-regexp", r"^submodule\..*\.(path|url)$", codes=(0, 1)):
        key, _, value = field.partition(b"\n")
        if match := _KEY.fullmatch(key):
            sections.setdefault(match[1], {})[match[2]] = value
    return {
        section[b"path"]: (name.decode("utf-8", "replace"), section[b"url"].decode("utf-8", "replace"))
        for name, section in sections.items()
        if section.keys() == {b"path", b"url"}
    }
