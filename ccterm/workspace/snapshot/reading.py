"""Reads what is new or changed in a working copy, and writes into git the bytes that it does not have yet."""

import hashlib
import os
import stat
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.git.git import Git, hash_name
from ccterm.git.lfs import pointer_to
from ccterm.git.names import shown
from ccterm.git.objects import blob_digest, blob_name, file_blocks, write_loose_blob
from ccterm.git.rooted import Root
from ccterm.workspace.content import Kind, kind_of
from ccterm.workspace.snapshot.manifest import ManifestRow, at_rest, mark_of


def snapshot_error(message: str, fix: str = "") -> StepError:
    """Return the error of a snapshot that cannot be taken."""
    return StepError(Cause.CHECKOUT, message, fix, reason="snapshot")


def too_large(path: bytes, size: int, cap: int, fix: str) -> StepError:
    """Return the error for a file that is larger than a snapshot may hold."""
    return snapshot_error(f"{shown(path)} is {size / 1e6:.0f} MB, and a snapshot takes files up to {cap / 1e6:.0f} MB", fix)


class Reading:
    """Reads a working copy into the repository `git`. known: the rows of the last snapshot. head: any commit of the repository."""

    def __init__(self, root: Root, git: Git, known: Mapping[bytes, ManifestRow], max_file: int, head: str) -> None:
        self.pointers: list[bytes] = []
        """Paths above the cap whose LFS pointers stand for them in the snapshot."""
        self._fresh: Collection[bytes] = ()
        self._algorithm = hash_name(head)
        self._root, self._known, self._max_file = root, known, max_file
        assert git.directory
        self._objects = str(Path(git.directory) / "objects")
        self._now = time.time_ns()
        self._written: set[str] = set()

    def read(self, paths: Sequence[bytes], have: Collection[str], fresh: Collection[bytes] = ()) -> dict[bytes, ManifestRow]:
        """Return path -> row. have: names of the blobs that git has already; fresh: untracked paths. Raises StepError and OSError."""
        self._fresh = fresh
        rows: dict[bytes, ManifestRow] = {}
        for path in paths:
            if (found := self._root.stat(path)) is None:
                continue
            known = self._known.get(path)
            if known and known.mark == mark_of(found) and known.git in have:
                rows[path] = known
                self.pointers += [path] if known.size > self._max_file and known.is_pointer else []
            elif (kind := kind_of(found.st_mode)) in (Kind.FILE, Kind.LINK):
                rows[path] = self._row(path, kind, found, have)
        return rows

    def _row(self, path: bytes, kind: Kind, found: os.stat_result, have: Collection[str]) -> ManifestRow:
        if kind is Kind.FILE and found.st_size > self._max_file:
            return self._large(path, found, have)
        data, found = self._bytes(path, kind, found)
        name = blob_name(self._algorithm, data)
        if name not in have and name not in self._written:
            self._written.add(name)
            write_loose_blob(self._objects, name, data)
        return self._as_row(kind, name, hashlib.sha256(data).hexdigest(), len(data), found)

    def _as_row(self, kind: Kind, name: str, digest: str, size: int, found: os.stat_result) -> ManifestRow:
        permissions = stat.S_IMODE(found.st_mode) if kind is Kind.FILE else 0
        return ManifestRow(str(kind), name, digest, size, permissions, mark_of(found) if at_rest(found, self._now) else None)

    def _bytes(self, path: bytes, kind: Kind, found: os.stat_result) -> tuple[bytes, os.stat_result]:
        """Return the bytes at a path, and the stat result that belongs to exactly these bytes."""
        try:
            if kind is Kind.LINK:
                return self._root.link(path), found
            with os.fdopen(self._root.open(path), "rb", buffering=0) as file:
                before = os.fstat(file.fileno())  # before reading: if it is written to meanwhile, the mark no longer matches
                return file.readall()[: self._max_file + 1], before
        except PermissionError as error:
            raise snapshot_error(f"{shown(path)} cannot be read: {error.strerror}", "chmod u+r it, or let .gitignore name it") from error

    def _large(self, path: bytes, found: os.stat_result, have: Collection[str]) -> ManifestRow:
        """Return the row of a file above the cap, which must be committed already, itself or as the LFS pointer to it."""
        digest, ours = blob_digest(self._algorithm, found.st_size), hashlib.sha256()
        with os.fdopen(self._root.open(path), "rb", buffering=0) as file:
            for block in file_blocks(file):
                digest.update(block)
                ours.update(block)
        pointer = blob_name(self._algorithm, pointer_to(ours.hexdigest(), found.st_size))
        if digest.hexdigest() not in have and pointer not in have:
            ignore = "let .gitignore name it, or " if path in self._fresh else ""  # which does nothing for a file that git tracks
            enough = -(-found.st_size // (1 << 20))
            raise too_large(path, found.st_size, self._max_file, f"{ignore}raise policy.max_file_mb to {enough}")
        if digest.hexdigest() in have:
            return self._as_row(Kind.FILE, digest.hexdigest(), ours.hexdigest(), found.st_size, found)
        self.pointers.append(path)
        return self._as_row(Kind.FILE, pointer, ours.hexdigest(), found.st_size, found)
