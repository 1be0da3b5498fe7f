"""Keeps what an agent left beside its tree: commits on branches of its own, its stash, and what its linked worktrees hold.

All of it goes into one bundle, `side.bundle`, under refs/ccterm/side/, and as a patch for people into `side.patch`. It is kept, never
pushed: no rule judged it.
"""

import os
import re
import shutil
import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from ccterm.box.commit.agent_objects import TooMuch, copy_objects_of
from ccterm.box.commit.bundle import check_bundle, write_bundle
from ccterm.box.commit.make import commit_tree
from ccterm.box.commit.survey import MOST_REFS, Survey, Worktree, moved_path, shown_path, worktree_outside
from ccterm.box.commit.walk import TooMany
from ccterm.box.commit.worktree import changes_of
from ccterm.git.diff import PLAIN, raw_changes
from ccterm.git.git import SIDE_REFS, Git, GitError
from ccterm.git.names import shown
from ccterm.git.objects import blob_sizes
from ccterm.git.refs import Ref, stored_refs
from ccterm.git.rooted import Root
from ccterm.git.tree import Base

if TYPE_CHECKING:
    from ccterm.box.protocol import SideRef

SIDE_BUNDLE, SIDE_PATCH = "side.bundle", "side.patch"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_-]+)*")
_LONGEST_NAME = 200
_MOST_PATCH = 64 << 20
_MOST_TOLD = 20


class SideWork:
    """What one tree has beside it. known: commits that whoever reads the bundle has. author: of commits of what was not committed.

    copied: the tree is a copy, and what its worktrees name outside of it is the living agent's.
    """

    def __init__(
        self, root: Root, tree: str, clean: str, found: Survey, *, known: Sequence[str], author: str, copied: bool = False
    ) -> None:
        self._root, self._tree, self._found, self._copied = root, tree, found, copied
        self._clean = Git(clean)
        self._place = os.path.abspath(os.path.join(clean, f"side-{os.getpid()}"))
        self._known, self._author = known, author
        self.kept: list[SideRef] = []
        self.unread = list(found.unread)
        """In sentences, what there may be that is not in the bundle."""
        self.notes: list[str] = []

    def keep(self, base: Base, commit: str | None, out: str, left: Collection[bytes] = ()) -> None:
        """Write the bundle and the patch, if there is anything. Raises nothing for what is in there.

        commit: what was made of the tree. left: paths that are as setup left them; the branch of a tree with nothing else is not kept.
        """
        tips = self._unknown_tips(commit)
        if not tips and not self._found.worktrees:
            return
        os.mkdir(self._place)
        try:
            self._keep(tips, base, commit, out, left)
        except (TooMuch, TooMany):
            self._lose("there is more of it than ccterm keeps")
        except (GitError, OSError, ValueError, zlib.error) as error:
            if isinstance(error, GitError) and error.reason == "pattern":
                raise  # the tree is kept as it is: what a worktree in it holds is neither known to be ignored nor not to be
            self._lose(str(error))
        finally:
            shutil.rmtree(self._place, ignore_errors=True)
            del self.unread[_MOST_TOLD:]

    def _lose(self, why: str) -> None:
        self.kept = []
        self.unread.append(why)

    def _unknown_tips(self, commit: str | None) -> list[Ref]:
        """Return the refs whose objects the clean git directory lacks, but for the branch of which the tree is the end."""
        refs, head = list(self._found.refs), self._found.head
        if head and commit is None:
            refs.append(Ref(head, "refs/detached"))
        refs = [ref for ref in refs if ref.sha not in self._known and not (commit and ref.sha == head)]
        have = blob_sizes(self._clean, {ref.sha for ref in refs}).keys() if refs else ()
        return [ref for ref in refs if ref.sha not in have]

    def _keep(self, tips: Sequence[Ref], base: Base, commit: str | None, out: str, left: Collection[bytes]) -> None:
        git = copy_objects_of(self._root, self._clean, os.path.join(self._place, "agent.git"), base.tree)
        have = blob_sizes(git, [*(ref.sha for ref in tips), *filter(None, [self._found.head])])
        self._missing(ref for ref in tips if ref.sha not in have)
        done = [*([base.commit] if base.commit else []), *(ref.sha for ref in stored_refs(self._clean, "refs/"))]
        head = self._found.head
        if head in have and (commit or (left and all(change.path in left for change in raw_changes(git, "diff-tree", base.tree, head)))):
            done.append(head)
        present = [ref for ref in tips if ref.sha in have]
        for ref in present[:MOST_REFS]:
            self._take(git, ref, done, changes=ref.name.startswith("refs/stash/"))
        if len(present) > MOST_REFS:
            self.unread.append(f"there are {len(present):,} branches, more than {MOST_REFS}")
        for worktree in self._found.worktrees:
            self._take_worktree(git, worktree, done)
        if self.kept:
            self._write(git, base, out)

    def _missing(self, refs: Iterator[Ref]) -> None:
        self.unread += [f"{shown(os.fsencode(ref.name))} names an object that is missing or damaged" for ref in refs]

    def _take(self, git: Git, ref: Ref, done: list[str], *, changes: bool) -> None:
        """Note a ref if it reaches commits that none of `done` does, and add it to these."""
        try:
            listing = "".join([f"{ref.sha}\n", *(f"^{sha}\n" for sha in done)])
            commits = int(git.text("rev-list", "--count", "--stdin", stdin=listing.encode()))
        except GitError:
            self._missing(iter([ref]))
            return
        if commits:
            done.append(ref.sha)
            name = self._name(git, ref.name.removeprefix("refs/"))
            self.kept.append({"name": name, "sha": ref.sha, "commits": 0 if changes else commits, "changes": changes})

    def _name(self, git: Git, name: str) -> str:
        """Return a name under which a ref can be fetched: its own, if git takes it and no other ref is in its way."""
        taken = {ref["name"] for ref in self.kept}
        in_the_way = any(other == name or other.startswith(f"{name}/") or name.startswith(f"{other}/") for other in taken)
        fits = len(os.fsencode(name)) <= _LONGEST_NAME and name.isprintable() and not name.endswith(".lock")
        if not in_the_way and fits and (_PLAIN_NAME.fullmatch(name) or git.succeeds("check-ref-format", SIDE_REFS + name)):
            return name
        return f"unnamed/{len(taken)}"

    def _take_worktree(self, git: Git, worktree: Worktree, done: list[str]) -> None:
        name = shown(worktree.name)
        if worktree.path is not None:
            self.notes.append(f"{shown_path(worktree)} is a worktree of the agent's own and is left out of the commit")
        head = worktree.head if worktree.head and blob_sizes(git, [worktree.head]) else None
        if worktree.head and head is None:
            self.unread.append(f"the worktree {name} stands on a commit that is missing or damaged")
            return
        if head:
            self._take(git, Ref(head, f"refs/worktrees/{name}/commits"), done, changes=False)
        where = self._directory(worktree)
        if where is None:
            return
        found = changes_of(where, worktree, git, self._root, self._inner(worktree))
        self.unread += [f"the worktree {name} holds {what}" for what in found.left_out]
        self.notes += found.notes
        if found.tree is not None:
            sha = commit_tree(git, found.tree, head, f"What the worktree {name} held uncommitted\n", self._author)
            self._take(git, Ref(sha, f"refs/worktrees/{name}/changes"), done, changes=True)

    def _directory(self, worktree: Worktree) -> str | None:
        """Return where a worktree can be read: in the tree, or, on a machine without boxes, where git says that it is."""
        if path := worktree.path or moved_path(self._root, worktree):
            self._root.directory(path)  # raises when a component is a link
            return os.fsdecode(os.path.join(os.fsencode(self._tree), path))
        if not self._copied and (outside := worktree_outside(worktree, self._tree)):
            return outside
        self.notes.append(f"the worktree at {shown_path(worktree)} is not in the tree: only what was committed in it is kept")
        return None

    def _inner(self, worktree: Worktree) -> frozenset[bytes]:
        """Return the worktrees inside of a worktree, relative to it."""
        prefix = worktree.path + b"/" if worktree.path is not None else b"/"
        return frozenset(path.removeprefix(prefix) for path in self._found.aside if path.startswith(prefix))

    def _write(self, git: Git, base: Base, out: str) -> None:
        os.makedirs(out, exist_ok=True)
        names = [SIDE_REFS + ref["name"] for ref in self.kept]
        orders = "".join(f"create {name}\0{ref['sha']}\0" for name, ref in zip(names, self.kept, strict=True))
        git.run("update-ref", "-z", "--stdin", stdin=orders.encode("utf-8", "surrogateescape"))
        bundle = os.path.join(out, SIDE_BUNDLE)
        try:
            write_bundle(git, bundle, names, self._known)
            check_bundle(bundle, self._clean, base.tree)
        except GitError:
            if os.path.exists(bundle):
                os.unlink(bundle)
            raise
        with open(os.path.join(out, SIDE_PATCH), "wb") as patch:
            left = _MOST_PATCH
            for ref in self.kept:
                for line in _patch(git, base, ref):
                    if (left := left - len(line)) < 0:
                        patch.write(b"\n# The rest is too long to be shown here: ccterm fetch brings it.\n")
                        return
                    patch.write(line)


def _patch(git: Git, base: Base, ref: "SideRef") -> Iterator[bytes]:
    """Yield a ref as a patch for people: what it changes since it left the base, and the files that a stash took away untracked."""
    yield f"# {ref['name']}\n".encode("utf-8", "surrogateescape")
    start = git.answer("merge-base", base.commit, ref["sha"])[1].decode().strip() if base.commit else ""
    if git.text("cat-file", "-t", ref["sha"]) not in ("commit", "tag"):
        return
    yield from git.stream("diff-tree", "-r", "-p", "--binary", *PLAIN, start or git.text("mktree"), f"{ref['sha']}^{{commit}}")
    if ref["name"].startswith("stash/") and git.succeeds("rev-parse", "--verify", "--quiet", f"{ref['sha']}^3"):
        yield from git.stream("diff-tree", "-r", "-p", "--binary", "--root", "--no-commit-id", *PLAIN, f"{ref['sha']}^3")
