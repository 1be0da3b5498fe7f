"""Makes one commit with an index of our own: git is shown the paths that entered, one by one, and walks nothing by itself."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence

from ccterm.inside.base import Base
from ccterm.inside.compare import Delta, covered
from ccterm.inside.git import Git, GitError
from ccterm.inside.rooted import Root
from ccterm.inside.walk import Refused


class Index:
    """The index of the new commit, beginning as the base."""

    def __init__(self, git: Git, root: Root, base: Base) -> None:
        self._git, self._root, self._base = git, root, base
        self.notes: list[str] = []
        self.unreadable: list[Refused] = []
        git.run("read-tree", base.tree)

    def take(self, delta: Delta, refused: Collection[bytes]) -> None:
        """Bring in everything of a delta that is not refused; what is missing below a refused path stays as the base has it."""
        self._lines(self._removal(path) for path in delta.missing if not covered(path, refused))
        self._add(sorted(path for path in delta.nodes if path not in refused))

    def drop(self, paths: Collection[bytes]) -> None:
        """Put paths back to what the base has."""
        self._lines(self._removal(path) for path in paths)
        entries = self._base.entries
        self._lines(f"{entries[path].mode:o} {entries[path].sha}\t".encode() + path for path in paths if path in entries)

    def tree(self) -> str:
        """Write and return the tree."""
        return self._git.text("write-tree")

    def changes(self) -> list[tuple[bytes, str]]:
        """Return (path, new object name) of each path that is other than in the base and was not deleted."""
        fields = iter(self._git.fields("diff-index", "--cached", "--raw", "-r", "-z", "--no-renames", "--no-abbrev", self._base.tree))
        pairs = ((about.split(b" "), next(fields)) for about in fields)
        return [(path, about[3].decode()) for about, path in pairs if not about[4].startswith(b"D")]

    def _add(self, paths: Sequence[bytes]) -> None:
        """Let git read files as it does for `git add`; halve the list until what git cannot convert stands alone."""
        if not paths:
            return
        listing = b"".join(path + b"\0" for path in paths)
        code, _, said = self._git.answer("update-index", "--add", "--replace", "-z", "--stdin", stdin=listing)
        if not code:
            return
        if "No space left" in said:
            raise GitError("disk", "no space is left for the new objects", said)
        if len(paths) > 1:
            self._add(paths[: len(paths) // 2])
            self._add(paths[len(paths) // 2 :])
        else:
            self._add_raw(paths[0])

    def _add_raw(self, path: bytes) -> None:
        try:
            with os.fdopen(self._root.open(path), "rb") as file:
                executable = os.fstat(file.fileno()).st_mode & 0o100
                sha = self._git.text("hash-object", "-w", "--stdin", stdin=file.read())
        except OSError as error:
            self.unreadable.append(Refused("unreadable", path, f"cannot be read: {error.strerror or error}"))
            return
        self._lines([f"{'100755' if executable else '100644'} {sha}\t".encode() + path])
        self.notes.append(f"{path.decode('utf-8', 'backslashreplace')} cannot be converted as .gitattributes asks and was taken as it is")

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
