"""What every path of a snapshot held, with the file system's own marks, so that unchanged files are not read again.

A mark is trusted as git trusts its index: inode, size and both times are the same, and the file was at rest when it was read. A file that
was changed shortly before could change again within the same tick of the clock, so it is read again next time.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ccterm.git.git import hash_name
from ccterm.git.lfs import pointer_to
from ccterm.git.objects import blob_name
from ccterm.state_dir import write_private
from ccterm.storage import Storage
from ccterm.workspace.content import Content, Kind

RACY_NS = 2_000_000_000
"""A file that changed less than this before it was read is read again: some file systems count whole seconds."""
_VERSION = 2


StatMark = list[int]
"""What shows that a file was not touched: mode, size, both times, inode, device. A list, as in JSON: there are many of them."""


def mark_of(found: os.stat_result) -> StatMark:
    """Return the mark for what lstat found."""
    return [found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev]


def at_rest(found: os.stat_result, now_ns: int) -> bool:
    """Whether a file had not changed for a while."""
    return max(found.st_mtime_ns, found.st_ctime_ns) < now_ns - RACY_NS


class ManifestRow(NamedTuple):
    """One path: its object name, the SHA-256 of its bytes, and its mark; None = the file has to be read again."""

    kind: str
    git: str
    sha256: str
    size: int
    permissions: int
    mark: StatMark | None

    @property
    def content(self) -> Content:
        """What the path holds."""
        return Content(kind=Kind(self.kind), mode=self.permissions, size=self.size, sha256=self.sha256)

    @property
    def is_pointer(self) -> bool:
        """Whether the snapshot holds only the LFS pointer to what the path holds."""
        return self.git == blob_name(hash_name(self.git), pointer_to(self.sha256, self.size))

    @property
    def git_mode(self) -> int:
        """The mode that git records."""
        return 0o120000 if self.kind == Kind.LINK else 0o100755 if self.permissions & 0o100 else 0o100644


Rows = Mapping[bytes, ManifestRow]


class KeptManifest(NamedTuple):
    """A manifest as it was kept. commit: the commit that equals it exactly, or ""."""

    rows: dict[bytes, ManifestRow]
    commit: str = ""


def read_manifest(path: Path) -> KeptManifest:
    """Read a manifest. One that is missing or of another version is empty: then all files are read again."""
    try:
        version, commit, paths, rows = json.loads(path.read_bytes())
        if version == _VERSION:
            return KeptManifest(dict(zip(map(os.fsencode, paths), map(ManifestRow._make, rows), strict=True)), str(commit))
    except (OSError, ValueError, TypeError):
        pass  # see above
    return KeptManifest({})


def write_manifest(path: Path, manifest: Rows, commit: str, storage: Storage) -> None:
    """Replace a manifest. Raises StateError."""
    document = [_VERSION, commit, list(map(os.fsdecode, manifest)), list(manifest.values())]
    write_private(path, json.dumps(document, separators=(",", ":")).encode("ascii"), storage)
