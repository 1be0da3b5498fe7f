"""Writes the outputs of the step commit: bundle, patch, list of changes, added bytes for a secret scan, and copies of refused files."""

import contextlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from ccterm.box.commit.bundle import write_packed
from ccterm.box.commit.walk import RefusedPath
from ccterm.git.diff import HUNK, PLAIN, changes_type, list_changes
from ccterm.git.git import WORK_REF, Git
from ccterm.git.names import shown
from ccterm.git.rooted import Root
from ccterm.git.tree import Base
from ccterm.git.types import Change

_FILE_CAP = 100 << 20
_ALL_CAP = 500 << 20
_MOST_FILES = 2000


def write_work(git: Git, base: Base, commit: str, message: str, pack: bytes, out: str) -> list[Change]:
    """Write bundle, patch, changes.json and added.bin; return the changes. message, pack: of the commit."""
    changes = list_changes(git, base.tree, commit)
    write_packed(f"{out}/work.bundle", pack, {WORK_REF: commit}, [base.commit] if base.commit else [])
    with open(f"{out}/work.patch", "w+b") as patch, open(f"{out}/added.bin", "wb") as added:
        git.to_file(patch, "diff-tree", "-r", "-p", "--binary", "--full-index", *PLAIN, base.tree, commit)
        patch.seek(0)
        added.write(message.encode("utf-8", "replace"))
        _Added(git, commit, changes, added).write(patch)
    with open(f"{out}/changes.json", "w", encoding="ascii") as file:
        json.dump(changes, file)
    return changes


class _Added:
    """Writes the bytes that a commit adds, change by change, and records where those of each begin and end."""

    def __init__(self, git: Git, commit: str, changes: Sequence[Change], to: IO[bytes]) -> None:
        self._git, self._commit, self._to = git, commit, to
        # git shows a file that became a link, or the other way round, in two parts
        self._parts = [change for change in changes for _ in range(2 if changes_type(change) else 1)]
        self._current: Change | None = None

    def write(self, diff: Iterable[bytes]) -> None:
        """Read the patch of all changes. Lines of a hunk are counted, so that no content is mistaken for a header."""
        old = new = 0
        parts = iter(self._parts)
        for line in diff:
            if not (old or new):
                if match := HUNK.match(line):
                    old, new = (1 if count is None else int(count) for count in match.groups())
                elif line.startswith(b"diff --git "):
                    self._begin(next(parts))
            elif line.startswith(b"+"):
                new -= 1
                self._to.write(line[1:])
            elif line.startswith(b"-"):
                old -= 1
            elif line.startswith(b" "):
                old, new = old - 1, new - 1
        self._end()

    def _begin(self, change: Change) -> None:
        if change is self._current:
            return
        self._end()
        self._current = change
        change["span"] = [self._to.tell()]
        path = change["path"].encode("utf-8", "surrogateescape")
        if change["old_mode"] is None:
            self._to.write(path + b"\n")
        if change["added"] is None and change["new_mode"] is not None:
            self._to.flush()
            self._git.to_file(self._to, "cat-file", "blob", f"{self._commit}:".encode() + path)
            self._to.seek(0, os.SEEK_END)
            self._to.write(b"\n")

    def _end(self) -> None:
        if self._current is not None:
            self._current["span"].append(self._to.tell())


class RefusedCopies:
    """Copies refused files, as data under numbers, so that no work is lost."""

    def __init__(self, root: Root, out: str) -> None:
        self._root, self._directory = root, os.path.join(out, "refused")
        self._listed: list[dict[str, object]] = []
        self._left = _ALL_CAP

    def write(self, refused: Sequence[RefusedPath]) -> None:
        """Copy what can be copied, and write index.json, which lists everything."""
        os.makedirs(self._directory, exist_ok=True)
        for refusal in refused:
            for path in self._files(refusal.path):
                self._copy(path, refusal)
        with open(os.path.join(self._directory, "index.json"), "w", encoding="ascii") as file:
            json.dump(self._listed, file, indent=1)

    def _files(self, path: bytes) -> Iterator[bytes]:
        """Yield a path, or the files below it when it is a directory."""
        waiting = [path]
        while waiting and len(self._listed) < _MOST_FILES:
            path = waiting.pop()
            with contextlib.suppress(OSError):
                if not self._root.node(path).is_directory:
                    yield path
                    continue
                waiting += [path + b"/" + name for name in sorted(self._root.list(path), reverse=True)]

    def _copy(self, path: bytes, refusal: RefusedPath) -> None:
        about: dict[str, object] = {"path": shown(path), "rule": refusal.rule, "detail": refusal.detail, "file": None}
        self._listed.append(about)
        name = f"{len(self._listed):04}"
        with contextlib.suppress(OSError):
            if self._root.node(path).is_link:
                about["target"] = shown(self._root.link(path))
                return
            with os.fdopen(self._root.open(path), "rb") as source, open(os.path.join(self._directory, name), "wb") as target:
                size = os.fstat(source.fileno())
                about |= {"file": name, "executable": bool(size.st_mode & stat.S_IXUSR), "size": size.st_size}
                about["kept"] = self._bytes(source, target)

    def _bytes(self, source: IO[bytes], target: IO[bytes]) -> int:
        kept, limit = 0, min(_FILE_CAP, self._left)
        while block := source.read(min(1 << 20, limit - kept)):
            target.write(block)
            kept += len(block)
        self._left -= kept
        return kept
