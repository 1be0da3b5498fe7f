"""A copy of what an agent changed, in a directory that it cannot reach: the tree that a checkpoint's commit is made of."""

import json
import os
import shutil
import stat
from collections.abc import Iterator
from typing import IO

from ccterm.box.checkpoint.changed import Record
from ccterm.box.commit.walk import MOST
from ccterm.git.tree import Base

_MOST = 2 * MOST
"""Records in one answer: what the base and the tree may hold."""


class Staging:
    """The copy, and beside it what is remembered from one checkpoint to the next. place: a directory of ours."""

    def __init__(self, place: str, budget: int) -> None:
        self.tree = os.path.join(place, "tree")
        self.unchanged = os.path.join(place, "unchanged")
        """Lists the base's paths that the copy lacks because they were not changed."""
        self._seen, self._sizes, self._budget = os.path.join(place, "seen"), os.path.join(place, "sizes"), budget
        known = json.loads(read_file(self._sizes) or b"{}")
        if not known:  # nothing yet, or an update that broke off: nobody knows what the copy holds
            shutil.rmtree(self.tree, ignore_errors=True)
            write_file(self._seen, b"")
            os.mkdir(self.tree, 0o700)
        self.left_out = {path.encode("latin-1") for path in known.get("left_out", [])}
        """Paths that it did not take because they are too large or cannot be read."""
        self._staged: dict[bytes, int] = {path.encode("latin-1"): size for path, size in known.get("staged", {}).items()}
        """Path -> size of everything in the copy."""

    @property
    def left(self) -> int:
        """How many more bytes it takes."""
        return max(0, self._budget - sum(self._staged.values()))

    @property
    def seen(self) -> bytes:
        """What the last answer ended with."""
        return read_file(self._seen)

    def take(self, source: IO[bytes], base: Base) -> bool:
        """Bring the copy up to date with an answer; return whether that changed anything. Raises ValueError, OSError."""
        changed, seen, gone = False, b"", set[bytes]()
        write_file(self._sizes, b"")
        for record in self._records(source):
            if record.kind == "end":
                seen = record.content
                break
            _require_plain(record.path)
            self.left_out.discard(record.path)
            if record.kind in ("file", "link"):
                self._put(record)
                changed = True
            else:
                changed |= self._drop(record.path)
            if record.kind == "over":
                self.left_out.add(record.path)
            elif record.kind == "gone":
                gone.add(record.path)
        unchanged = b"".join(path + b"\0" for path in base.entries if path not in self._staged and path not in gone)
        changed |= unchanged != read_file(self.unchanged)
        write_file(self.unchanged, unchanged)
        staged = {path.decode("latin-1"): size for path, size in self._staged.items()}
        write_file(self._seen, seen)
        write_file(self._sizes, json.dumps({"staged": staged, "left_out": [path.decode("latin-1") for path in self.left_out]}).encode())
        return changed

    def _records(self, source: IO[bytes]) -> Iterator[Record]:
        for _ in range(_MOST):
            yield Record.read(source, 2 * self._budget)
        raise ValueError("the agent's tree holds too many paths")

    def _put(self, record: Record) -> None:
        self._drop(record.path)
        path = self._place(record.path)
        if record.kind == "link":
            os.symlink(record.content, path)
        else:
            write_file(path, record.content, 0o700 if record.mode & stat.S_IXUSR else 0o600)
        self._staged[record.path] = len(record.content)
        if sum(self._staged.values()) > 2 * self._budget:
            raise ValueError("the agent's tree changed by more than was asked for")

    def _drop(self, path: bytes) -> bool:
        if self._staged.pop(path, None) is None:
            return False
        os.unlink(os.path.join(os.fsencode(self.tree), path))
        return True

    def _place(self, path: bytes) -> bytes:
        """Return where a path lies in the copy. What is in the way of it, or of a directory above it, was replaced in the agent's tree."""
        at, parts = os.fsencode(self.tree), path.split(b"/")
        for part in parts[:-1]:
            at = os.path.join(at, part)
            if os.path.islink(at) or os.path.isfile(at):
                self._drop(os.path.relpath(at, os.fsencode(self.tree)))
            if not os.path.isdir(at):
                os.mkdir(at, 0o700)
        at = os.path.join(at, parts[-1])
        if os.path.isdir(at) and not os.path.islink(at):
            above = path + b"/"
            for below in [each for each in self._staged if each.startswith(above)]:
                self._drop(below)
            shutil.rmtree(at)
        return at


def _require_plain(path: bytes) -> None:
    if any(part in (b"", b".", b"..") for part in path.split(b"/")) or b"\0" in path:
        raise ValueError("a record has no path in the tree")


def read_file(path: str) -> bytes:
    """Return the content of a file, nothing if there is none. Raises OSError."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def write_file(path: str | bytes, content: bytes, mode: int = 0o600) -> None:
    """Write a file. Raises OSError."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode), "wb") as file:
        file.write(content)
