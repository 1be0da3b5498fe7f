"""Makes one commit with an index of our own. Git is given each path that enters the commit, and never walks the tree by itself."""

import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence

from ccterm.box.commit.compare import Delta, covered
from ccterm.box.commit.walk import RefusedPath
from ccterm.git.diff import raw_changes
from ccterm.git.git import Git, GitError
from ccterm.git.lfs import MOST_OF_A_POINTER, is_pointer
from ccterm.git.names import shown
from ccterm.git.objects import blob_sizes, read_blobs
from ccterm.git.patterns import ATTRIBUTES, attributes_of
from ccterm.git.rooted import FileNode, Root
from ccterm.git.tree import Base

_TRIES = 200
"""How often git is run again because of files that it cannot convert, before all that are left are taken unconverted."""


class Index:
    """The index of the new commit. It starts as the base."""

    def __init__(self, git: Git, root: Root, base: Base) -> None:
        self._git, self._root, self._base = git, root, base
        self._tries = _TRIES
        self._taken: Collection[bytes] = ()
        self.notes: list[str] = []
        self.unreadable: list[RefusedPath] = []
        git.run("read-tree", base.tree)

    def take(self, delta: Delta, refused: Collection[bytes]) -> None:
        """Add everything in a delta that is not refused; what is missing below a refused path stays as in the base."""
        self._lines(self._removal(path) for path in delta.missing if not covered(path, refused))
        wanted = {path: node for path, node in delta.nodes.items() if path not in refused}
        self._taken = wanted.keys()
        readable = sorted(path for path, node in wanted.items() if self._readable(path, node))
        if self._has_attributes:  # matched within a limit, before git matches them without one
            list(attributes_of(self._git, ["filter"], readable))
        self._add(readable)

    def drop(self, paths: Collection[bytes]) -> None:
        """Reset paths to what the base has."""
        self._lines(self._removal(path) for path in paths)
        entries = self._base.entries
        self._lines(f"{entries[path].mode:o} {entries[path].sha}\t".encode() + path for path in paths if path in entries)

    def tree(self) -> str:
        """Write and return the tree."""
        return self._git.text("write-tree")

    def changes(self) -> list[tuple[bytes, str]]:
        """Return (path, new object name) of each path that differs from the base and was not deleted."""
        raw = raw_changes(self._git, "diff-index", "--cached", "--no-renames", self._base.tree)
        return [(change.path, change.new_sha) for change in raw if change.status != "D"]

    def raw_lfs_files(self) -> list[RefusedPath]:
        """Return the changed paths that belong in LFS by the new commit's own .gitattributes, and hold something else than a pointer."""
        if not self._has_attributes:
            return []
        raw = raw_changes(self._git, "diff-index", "--cached", "--no-renames", self._base.tree)
        changed = {change.path: change.new_sha for change in raw if stat.S_ISREG(change.new_mode)}
        found = attributes_of(self._git, ["filter"], list(changed), "--cached")
        lfs = {path: changed[path] for path, _, value in found if value == b"lfs"}
        sizes = blob_sizes(self._git, lfs.values()) if lfs else {}
        small = {sha for sha in lfs.values() if sizes.get(sha, 0) <= MOST_OF_A_POINTER}
        pointers = {sha for sha, content in zip(small, read_blobs(self._git, list(small)), strict=True) if is_pointer(content)}
        return [RefusedPath("lfs", path, "belongs in LFS, and is no LFS pointer") for path, sha in lfs.items() if sha not in pointers]

    @property
    def _has_attributes(self) -> bool:
        return any(path.rpartition(b"/")[2] == ATTRIBUTES for path in (*self._base.entries, *self._taken))

    def _readable(self, path: bytes, node: FileNode) -> bool:
        """Whether git will be able to read a path; opening it makes it readable if possible."""
        if node.is_link or node.mode & stat.S_IRUSR:
            return True
        try:
            os.close(self._root.open(path))
        except OSError as error:
            self._unreadable(path, error)
            return False
        return True

    def _add(self, paths: Sequence[bytes]) -> None:
        """Let git read files as for `git add`; halve the list until a file that git cannot convert is alone."""
        if not paths or self._git_adds(paths):
            return
        self._tries -= 1
        if self._tries < 0:
            self._add_unconverted(paths)
        elif len(paths) == 1:
            self._add_raw(paths[0])
        else:
            self._add(paths[: len(paths) // 2])
            self._add(paths[len(paths) // 2 :])

    def _git_adds(self, paths: Sequence[bytes]) -> bool:
        listing = b"".join(path + b"\0" for path in paths)
        code, _, stderr = self._git.answer("update-index", "--add", "--replace", "-z", "--stdin", stdin=listing)
        if code and "No space left" in stderr:
            raise GitError("disk", "no space is left for the new objects", stderr)
        return code == 0

    def _add_raw(self, path: bytes) -> None:
        try:
            with os.fdopen(self._root.open(path), "rb") as file:
                executable = os.fstat(file.fileno()).st_mode & stat.S_IXUSR
                sha = self._git.text("hash-object", "-w", "--stdin", stdin=file.read())
        except OSError as error:
            self._unreadable(path, error)
            return
        self._lines([f"{'100755' if executable else '100644'} {sha}\t".encode() + path])
        self.notes.append(f"{shown(path)} cannot be converted as .gitattributes requires and was taken unconverted")

    def _add_unconverted(self, paths: Sequence[bytes]) -> None:
        """Add a large number of files at once without converting their encoding."""
        assert self._git.directory
        attributes = os.path.join(self._git.directory, "info", "attributes")  # it takes precedence over the tree's
        os.makedirs(os.path.dirname(attributes), exist_ok=True)
        given = f"{attributes}.given"
        if os.path.exists(attributes):
            os.rename(attributes, given)
        with open(attributes, "w", encoding="ascii") as file:
            file.write("* -working-tree-encoding\n")
        try:
            if not self._git_adds(paths):
                raise GitError("git", f"git cannot add {len(paths):,} files, the first of which is {shown(paths[0])}")
        finally:
            os.unlink(attributes)
            if os.path.exists(given):
                os.rename(given, attributes)
        self.notes.append(f"{len(paths):,} files cannot all be converted as .gitattributes requires and were taken unconverted")

    def _unreadable(self, path: bytes, error: OSError) -> None:
        self.unreadable.append(RefusedPath("unreadable", path, f"cannot be read: {error.strerror or error}"))

    def _removal(self, path: bytes) -> bytes:
        return b"0 %s\t%s" % (b"0" * len(self._base.tree), path)

    def _lines(self, lines: Iterable[bytes]) -> None:
        if listing := b"".join(line + b"\0" for line in lines):
            self._git.run("update-index", "-z", "--index-info", stdin=listing)


def commit_tree(git: Git, tree: str, parent: str | None, message: str, author: str) -> str:
    """Make a commit object and return its name."""
    parents = ["-p", parent] if parent else []
    return git.with_env(_identity(author)).text("commit-tree", tree, *parents, "-F", "-", stdin=message.encode("utf-8", "replace"))


def _identity(author: str) -> Mapping[str, str]:
    name, _, mail = author.partition("<")
    values = {"NAME": _plain(name) or "Claude Agent", "EMAIL": _plain(mail.partition(">")[0]) or "agent@commandcenter.ai"}
    return {f"GIT_{role}_{kind}": value for role in ("AUTHOR", "COMMITTER") for kind, value in values.items()}


def _plain(text: str) -> str:
    return " ".join("".join(c for c in text if c.isprintable() and c not in "<>").split()).strip(".,:;\"'\\")
