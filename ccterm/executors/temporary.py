"""Directories in the system's temporary directory. Each is named after the process that made it, so that what a killed one left is removed."""

import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ccterm.executors.local.copy import remove_tree
from ccterm.processes import ProcessMark, boot_id

_NAME = re.compile(r"ccterm-[a-z]+-([0-9a-f]+)-([\d.]+)-([0-9a-f]+)-\w+")


def make_temporary(kind: str, parent: Path | None = None) -> Path:
    """Make a private directory with a short path; kind: one word that says what it is for. Raises OSError."""
    own = ProcessMark.of(os.getpid())
    assert own is not None  # this process is alive
    return Path(tempfile.mkdtemp(prefix=f"ccterm-{kind}-{own.pid:x}-{own.started}-{_namespace():x}-", dir=parent))


@contextmanager
def temporary(kind: str) -> Iterator[Path]:
    """Make such a directory for the duration of the block. Raises OSError."""
    directory = make_temporary(kind)
    try:
        yield directory
    finally:
        remove_tree(directory)


def sockets_parent() -> Path:
    """Return where sockets go: their paths end at 103 bytes."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) if runtime and len(runtime) < 40 and Path(runtime).is_dir() else Path("/tmp")


def sweep() -> None:
    """Remove the directories of processes that are dead. Blocks. Raises nothing."""
    for parent in {Path(tempfile.gettempdir()), sockets_parent()}:
        for path in parent.glob("ccterm-*"):
            if (match := _NAME.fullmatch(path.name)) and _is_left(path, int(match[1], 16), match[2], int(match[3], 16)):
                remove_tree(path)


def _is_left(path: Path, pid: int, started: str, namespace: int) -> bool:
    try:
        info = path.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or namespace != _namespace():
        return False
    return not ProcessMark(pid=pid, started=started, boot=boot_id()).alive


def _namespace() -> int:
    """Return what tells process ids apart that several containers count, which may share the temporary directory (Linux)."""
    return Path("/proc/self/ns/pid").stat().st_ino & 0xFFFFFF if sys.platform == "linux" else 0
