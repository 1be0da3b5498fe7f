"""What every path of a snapshot held, remembered with the file system's own marks so that what did not change is not read again.

A mark is believed as git believes its index: inode, size and both times are the same, and the file was at rest when it was read. One
that was changed shortly before could change again within the same tick of the clock, so it is read again next time.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ccterm.state_dir import write_private
from ccterm.workspace.rooted import Content, Kind

RACY_NS = 2_000_000_000
"""A file that changed less than this before it was read is read again: some file systems count whole seconds."""
_VERSION = 2


Mark = list[int]
"""What tells that a file was not touched: mode, size, both times, inode, device. A list, as JSON has it: there are many of them."""


def mark_of(found: os.stat_result) -> Mark:
    """Return the mark of what lstat found."""
    return [found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev]


def at_rest(found: os.stat_result, now_ns: int) -> bool:
    """Whether a file had not changed for a while."""
    return max(found.st_mtime_ns, found.st_ctime_ns) < now_ns - RACY_NS


class Row(NamedTuple):
    """One path: its git name, the SHA-256 of its bytes, and its mark; None when it may not be believed again."""

    kind: str
    git: str
    sha256: str
    size: int
    permissions: int
    mark: Mark | None

    @property
    def content(self) -> Content:
        """Return it as a content."""
        return Content(kind=Kind(self.kind), mode=self.permissions, size=self.size, sha256=self.sha256)

    @property
    def git_mode(self) -> int:
        """Return the mode by which git records it."""
        return 0o120000 if self.kind == Kind.LINK else 0o100755 if self.permissions & 0o100 else 0o100644


Manifest = Mapping[bytes, Row]


class Known(NamedTuple):
    """A manifest as it was kept. commit: the commit that it is exactly, or "" when there is none."""

    rows: dict[bytes, Row]
    commit: str = ""


def read_manifest(path: Path) -> Known:
    """Read a manifest; one that is not there, or is not ours to read, is empty: it only costs reading the files again."""
    try:
        version, commit, paths, rows = json.loads(path.read_bytes())
        if version == _VERSION:
            return Known(dict(zip(map(os.fsencode, paths), map(Row._make, rows), strict=True)), str(commit))
    except (OSError, ValueError, TypeError):
        pass  # said above
    return Known({})


def write_manifest(path: Path, manifest: Manifest, commit: str) -> None:
    """Replace a manifest. Raises StateError."""
    document = [_VERSION, commit, list(map(os.fsdecode, manifest)), list(manifest.values())]
    write_private(path, json.dumps(document, separators=(",", ":")).encode("ascii"))
