"""Writes what a harvest leaves: bundle, patch, list of changes, added bytes for a secret scan, and copies of what was refused."""

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from typing import IO

from ccterm.inside.base import Base
from ccterm.inside.git import WORK_REF, Git
from ccterm.inside.names import shown
from ccterm.inside.protocol import Change
from ccterm.inside.rooted import Root
from ccterm.inside.walk import Refused

_FILE_CAP = 100 << 20
_ALL_CAP = 500 << 20
_MOST_FILES = 2000
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_PLAIN = ("--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")


def list_changes(git: Git, base: Base, commit: str) -> list[Change]:
    """Return every changed path with its numbers."""
    fields = iter(git.fields("diff-tree", "-r", "-z", "--raw", "--numstat", "--no-abbrev", *_PLAIN, base.tree, commit))
    raw: dict[bytes, list[bytes]] = {}
    counts: dict[bytes, list[int | None]] = {}
    for field in fields:
        if field.startswith(b":"):
            raw[next(fields)] = field[1:].split(b" ")
        else:
            added, removed, path = field.split(b"\t", 2)
            counts[path] = [None if number == b"-" else int(number) for number in (added, removed)]
    sizes = _sizes(git, [about[3] for about in raw.values()])
    return [_change(path, raw[path], counts.get(path, [0, 0]), sizes) for path in sorted(raw)]


def _change(path: bytes, about: Sequence[bytes], counts: Sequence[int | None], sizes: dict[bytes, int]) -> Change:
    old, new = (None if mode == b"000000" else mode.decode() for mode in about[:2])
    return {
        "path": path.decode("utf-8", "surrogateescape"),
        "old_mode": old,
        "new_mode": new,
        "added": counts[0],
        "removed": counts[1],
        "size": sizes.get(about[3], 0),
    }


def _sizes(git: Git, shas: Sequence[bytes]) -> dict[bytes, int]:
    listing = git.run("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=b"".join(sha + b"\n" for sha in shas))
    pairs = (line.split(b" ") for line in listing.splitlines())
    return {sha: int(size) for sha, size in pairs if size.isdigit()}


def write_work(git: Git, base: Base, commit: str, out: str) -> list[Change]:
    """Write bundle, patch, changes.json and added.bin; return the changes."""
    changes = list_changes(git, base, commit)
    not_ours = [f"^{base.commit}"] if base.commit else []
    git.run("bundle", "create", "--quiet", os.path.abspath(f"{out}/work.bundle"), WORK_REF, *not_ours)
    with open(f"{out}/work.patch", "wb") as patch:
        git.to_file(patch, "diff-tree", "-r", "-p", "--binary", "--full-index", *_PLAIN, base.tree, commit)
    with open(f"{out}/changes.json", "w", encoding="ascii") as file:
        json.dump(changes, file)
    with open(f"{out}/added.bin", "wb") as added:
        _write_added(git, base, commit, changes, added)
    return changes


def _write_added(git: Git, base: Base, commit: str, changes: Sequence[Change], to: IO[bytes]) -> None:
    to.write(git.run("cat-file", "commit", commit).partition(b"\n\n")[2] + b"\n")
    for change in changes:
        path = change["path"].encode("utf-8", "surrogateescape")
        if change["old_mode"] is None:
            to.write(path + b"\n")
        if change["added"] is None and change["new_mode"] is not None:
            to.flush()
            git.to_file(to, "cat-file", "blob", f"{commit}:".encode() + path)
            to.seek(0, os.SEEK_END)
            to.write(b"\n")
    to.writelines(_added_lines(git.lines("diff-tree", "-r", "-p", "-U0", *_PLAIN, base.tree, commit)))


def _added_lines(diff: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the added lines of a diff; hunks are counted out, so that no content passes for a header."""
    old = new = 0
    for line in diff:
        if not (old or new):
            if match := _HUNK.match(line):
                old, new = (1 if count is None else int(count) for count in match.groups())
        elif line.startswith(b"+"):
            new -= 1
            yield line[1:]
        elif line.startswith(b"-"):
            old -= 1


class RefusedCopies:
    """Copies refused files aside, as data under numbers, so that nothing of the work is lost."""

    def __init__(self, root: Root, out: str) -> None:
        self._root, self._directory = root, os.path.join(out, "refused")
        self._listed: list[dict[str, object]] = []
        self._left = _ALL_CAP

    def write(self, refused: Sequence[Refused]) -> None:
        """Copy what can be copied and write index.json, which lists all."""
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

    def _copy(self, path: bytes, refusal: Refused) -> None:
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
