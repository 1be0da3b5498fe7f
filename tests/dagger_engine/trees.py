"""Directory trees of the fake engine: copied with links as links and names of any bytes."""

import hashlib
import os
import shutil
import stat
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

LINKED = "ccterm"
"""In a root: read-only programs, which are linked instead of copied."""


def place(root: Path, path: str) -> Path:
    """Return the path on this machine of a path in a container."""
    inside = os.path.normpath("/" + path)
    return root / inside.lstrip("/")


def copy(source: Path, target: Path, exclude: Sequence[str] = ()) -> None:
    """Copy a directory over another, which may exist. Only files, directories and links are copied."""

    def ignored(directory: str, names: list[str]) -> list[str]:
        below = Path(directory).relative_to(source)
        return [name for name in names if _special(Path(directory, name)) or _matches(str(below / name), name, exclude)]

    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=ignored)


def _special(path: Path) -> bool:
    mode = path.lstat().st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def _matches(path: str, name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path, pattern) or fnmatch(name, pattern.removeprefix("**/")) for pattern in patterns)


def copy_root(source: Path, target: Path) -> None:
    """Copy the root directory of a container."""
    target.mkdir(parents=True)
    for entry in source.iterdir():
        if entry.name == LINKED:
            shutil.copytree(entry, target / LINKED, copy_function=os.link)
        elif entry.is_dir() and not entry.is_symlink():
            copy(entry, target / entry.name)
        else:
            shutil.copy2(entry, target / entry.name, follow_symlinks=False)


def remove(root: Path) -> None:
    """Remove a tree, including read-only directories."""
    for directory, _, _ in os.walk(root):
        Path(directory).chmod(0o700)
    shutil.rmtree(root)


def digest(root: Path) -> str:
    """Return a fingerprint of a tree."""
    found = hashlib.sha256()
    for directory, directories, files in os.walk(os.fsencode(root)):
        directories.sort()
        for name in sorted([*directories, *files]):
            path = os.path.join(directory, name)  # noqa: PTH118 - names are bytes here
            facts = os.lstat(path)
            found.update(repr((os.path.relpath(path, os.fsencode(root)), facts.st_mode)).encode())
            if stat.S_ISREG(facts.st_mode):
                found.update(hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).digest())
            elif stat.S_ISLNK(facts.st_mode):
                found.update(os.readlink(path))  # noqa: PTH115
    return found.hexdigest()
