"""Sends what of an agent's tree is new: the program that runs as the agent's own user, so that it reads nothing that the agent could not.

Each step down the tree is a descriptor, and no link is followed. Nobody believes what this program says more than the agent itself, which
could stop it or change what it prints. stdin: a line of JSON with two lengths, and so many bytes each: git's listing of the base, and what
the last answer ended with. stdout: records, see `Record`, of what is not as the last answer left it.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import IO, Any, NamedTuple

from ccterm.box.commit.compare import covered, raw_name
from ccterm.box.commit.forced import except_forced, paths_in_index
from ccterm.box.commit.survey import GIT, Worktree, moved_to, survey, worktree_outside
from ccterm.box.commit.walk import Walk
from ccterm.git.git import Git
from ccterm.git.patterns import ignored_by
from ccterm.git.rooted import FileNode, Root
from ccterm.git.tree import Base, TreeEntry, base_of

_MOST_BELOW = 2000
"""Most files that are taken of a directory which no commit takes, such as a repository inside the repository."""
_MOST_OBJECTS = 100_000
_INDEX, _REFS = GIT + b"/index", (b"HEAD", b"packed-refs", b"refs/")


class Record(NamedTuple):
    """One line, `KIND MODE LENGTH LENGTH`, then so many bytes of path and of content.

    kind: "file" and "link" with new content, "base" for what was something else at the last answer and is as in the base, "gone" for what is
    not there: of the base in each answer; "over" for what is too large, "end" with what the next request should bring.
    """

    kind: str
    path: bytes = b""
    mode: int = 0
    content: bytes = b""

    def write(self, to: IO[bytes]) -> None:
        """Write it."""
        to.write(f"{self.kind} {self.mode:o} {len(self.path)} {len(self.content)}\n".encode())
        to.write(self.path + self.content)

    @classmethod
    def read(cls, source: IO[bytes], limit: int) -> "Record":
        """Read the next one, of at most `limit` bytes. Raises ValueError when it is none."""
        kind, mode, *lengths = source.readline(200).split()
        path, content = map(int, lengths)
        if not 0 <= path + content <= limit:
            raise ValueError("a record is too long")
        return cls(kind.decode("ascii"), _exactly(source, path), int(mode, 8), _exactly(source, content))


def _exactly(source: IO[bytes], length: int) -> bytes:
    data = source.read(length)
    if len(data) != length:
        raise ValueError("a record is incomplete")
    return data


Stamp = list[int]
"""Inode, size, and times of the last change of content and of anything: a file that has the same stamp as before was not changed."""


class StampedRoot(Root):
    """An agent's tree, with the stamp of everything that was listed."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path
        self.stamps: dict[bytes, Stamp] = {}

    def list(self, path: bytes) -> dict[bytes, FileNode]:
        """Return name -> node of everything in a directory."""
        found: dict[bytes, FileNode] = {}
        with os.scandir(self.directory(path)) as entries:
            for entry in entries:
                try:
                    status, name = entry.stat(follow_symlinks=False), os.fsencode(entry.name)
                except FileNotFoundError:  # the agent goes on working
                    continue
                found[name] = FileNode(status.st_mode, status.st_size)
                self.stamps[path + b"/" + name if path else name] = [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        return found


class Changed:
    """What changed in a tree since the last answer. began: when the agent did; what is older is not its work. budget: bytes of content."""

    def __init__(self, root: StampedRoot, base: Base, seen: Mapping[bytes, Stamp], *, began: float, budget: int) -> None:
        self._root, self._base, self._seen, self._budget = root, base, seen, budget
        self._began = int(began * 1e9)
        self._old = {b"": True}
        """Directory -> whether it, and all above it, are as they were when the agent began."""
        self._elsewhere: dict[bytes, StampedRoot] = {}
        """Worktrees by their places, open until this program ends."""

    def records(self, rules: str) -> Iterator[Record]:
        """Yield everything that the tree holds, small files first. rules: a git directory, for git to tell what is ignored.

        Raises OSError, TooMany, GitError.
        """
        beside = survey(self._root)
        git = Git(rules, work_tree=self._root.path)
        forced = paths_in_index(self._root, GIT, rules, []) - self._base.entries.keys()
        found = Walk(self._root, self._base, except_forced(ignored_by(git), forced), beside.aside).run()
        left_out = {refused.path for refused in found.refused} | beside.aside
        nodes, more = dict(found.nodes), self._below(GIT, _MOST_OBJECTS)
        for path in sorted(refused.path for refused in found.refused):
            more |= self._below(path, _MOST_BELOW)
        for worktree in beside.worktrees:
            with suppress(OSError):  # it was removed meanwhile
                more |= self._worktree(worktree, rules, beside.aside)
        more.pop(_INDEX, None)
        nodes = more | nodes
        stamps, fresh = self._sorted_out(nodes)
        yield from self._no_longer(nodes, stamps)
        for path in sorted(fresh, key=lambda path: (path in more, nodes[path].size, path)):
            yield self._record(path, nodes[path])
        seen = {path.decode("latin-1"): stamp for path, stamp in stamps.items()}
        for path in (self._base.entries.keys() | self._seen.keys()) - nodes.keys():
            if path not in found.submodules and not covered(path, left_out):
                yield Record("gone", path)
            elif path in self._seen:
                yield Record("base", path)
        yield Record("end", content=json.dumps(seen).encode())

    def _sorted_out(self, nodes: Mapping[bytes, FileNode]) -> tuple[dict[bytes, Stamp], list[bytes]]:
        """Return the stamps of all that is not older than the agent, and which of it is not as the last answer said."""
        stamps: dict[bytes, Stamp] = {}
        fresh: list[bytes] = []
        for path, node in nodes.items():
            stamp = self._root.stamps.get(path, [])
            if not node.git_mode or (stamp and self._is_older(path, stamp)):
                continue
            stamps[path] = stamp
            if not stamp or self._seen.get(path) != stamp:
                fresh.append(path)
        return stamps, fresh

    def _no_longer(self, nodes: Mapping[bytes, FileNode], stamps: Mapping[bytes, Stamp]) -> Iterator[Record]:
        """Yield what was the agent's at the last answer, and is as it was before the agent now."""
        for path in self._seen:
            if path in nodes and path not in stamps:
                yield Record("base", path)

    def _below(self, top: bytes, most: int) -> dict[bytes, FileNode]:
        """Return the files of a directory that no commit takes, as far as they can be read."""
        found: dict[bytes, FileNode] = {}
        waiting = [top]
        while waiting and len(found) < most:
            path = waiting.pop()
            try:
                node = self._root.node(path)
                if node.is_directory:
                    waiting += [path + b"/" + name for name in sorted(self._root.list(path), reverse=True)]
                else:
                    found[path] = node
            except OSError:
                continue
        return found

    def _worktree(self, worktree: Worktree, rules: str, aside: Collection[bytes]) -> dict[bytes, FileNode]:
        """Return what git does not ignore of a linked worktree; it is all the agent's. One outside of the tree gets a place in it."""
        if worktree.path is not None:
            self._root.directory(worktree.path)  # raises when a component is a link
            top, where = worktree.path, os.path.join(self._root.path, os.fsdecode(worktree.path))
        elif outside := worktree_outside(worktree, self._root.path):
            top, where = moved_to(worktree), outside
        else:
            return {}
        inner = frozenset(path.removeprefix(top + b"/") for path in aside)
        root = self._elsewhere[top] = StampedRoot(where)
        found = Walk(root, Base(self._base.tree), ignored_by(Git(rules, work_tree=where)), inner).run()
        nodes = {**found.nodes, b".git": root.node(b".git")}
        self._root.stamps |= {top + b"/" + path: stamp for path, stamp in root.stamps.items()}
        return {top + b"/" + path: node for path, node in nodes.items()}

    def _source(self, path: bytes) -> tuple[Root, bytes]:
        """Return where a path is read: of a worktree, in its own directory."""
        found = next((top for top in self._elsewhere if path.startswith(top + b"/")), None)
        return (self._root, path) if found is None else (self._elsewhere[found], path[len(found) + 1 :])

    def _record(self, path: bytes, node: FileNode) -> Record:
        entry = self._base.entries.get(path)
        try:
            if entry and self._equals(path, node, entry):
                return Record("base", path)
            root, inner = self._source(path)
            if node.is_link:
                return Record("link", path, node.mode, root.link(inner))
            return self._file(path, root, inner, node)
        except OSError:
            return Record("over", path)

    def _is_older(self, path: bytes, stamp: Stamp) -> bool:
        """Whether a path is as it was when the agent began. A directory that was moved brings old files along."""
        if path.startswith(GIT + b"/"):
            return stamp[3] < self._began and not path[len(GIT) + 1 :].startswith(_REFS)
        return stamp[3] < self._began and self._is_old(path.rpartition(b"/")[0])

    def _is_old(self, directory: bytes) -> bool:
        if directory not in self._old:
            here = self._root.stamps.get(directory)
            self._old[directory] = self._is_old(directory.rpartition(b"/")[0]) and (here is None or here[3] < self._began)
        return self._old[directory]

    def _equals(self, path: bytes, node: FileNode, entry: TreeEntry) -> bool:
        return node.git_mode == entry.mode and raw_name(self._root, self._base, path, node) == entry.sha

    def _file(self, path: bytes, root: Root, inner: bytes, node: FileNode) -> Record:
        if node.size > self._budget:
            return Record("over", path)
        with os.fdopen(root.open(inner), "rb") as file:
            content = file.read(self._budget + 1)
        if len(content) > self._budget:
            return Record("over", path)
        self._budget -= len(content)
        return Record("file", path, node.mode, content)


def main() -> None:
    """Run as a program."""
    source = sys.stdin.buffer
    request: dict[str, Any] = json.loads(source.readline())
    base = base_of(request["tree_name"], source.read(request["base"]))
    seen = {path.encode("latin-1"): stamp for path, stamp in json.loads(source.read(request["seen"]) or b"{}").items()}
    rules = tempfile.mkdtemp()  # git wants a repository to tell what is ignored; never the agent's own
    try:
        for name in ("objects", "refs"):
            os.mkdir(os.path.join(rules, name))
        with open(os.path.join(rules, "HEAD"), "w", encoding="ascii") as head:
            head.write("ref: refs/heads/none\n")
        with StampedRoot(request["tree"]) as root:
            changed = Changed(root, base, seen, began=request["began"], budget=request["budget"])
            for record in changed.records(rules):
                record.write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
    finally:
        shutil.rmtree(rules, ignore_errors=True)
