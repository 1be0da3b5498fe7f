"""Detects whether a repository's own git directory changed while an agent ran on the same machine as the same user."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from ccterm.workspace.repository import Repository

_FILES = ("config", "config.worktree", "HEAD", "packed-refs")
_DIRECTORIES = ("hooks", "refs", "reftable", "info")
Digests = Mapping[str, str]


def digests(repository: Repository) -> Digests:
    """Return name -> digest of everything that controls git or names commits. What cannot be read has a digest of its own."""
    found = {}
    for directory in {repository.git_dir, repository.common_dir}:
        for path in _watched(directory):
            found[str(path)] = _digest(path)
    return found


def changed(before: Digests, after: Digests) -> list[str]:
    """Return what was added, removed or changed."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def steers(name: str) -> bool:
    """Whether a changed file can make git run something, unlike a new commit or branch."""
    path = Path(name)
    return path.name.startswith("config") or "hooks" in path.parts or "info" in path.parts


def _watched(directory: Path) -> Iterator[Path]:
    yield from (directory / name for name in _FILES)
    for name in _DIRECTORIES:
        yield from (path for path in (directory / name).rglob("*") if not path.is_dir())


def _digest(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
        return f"{mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    except FileNotFoundError:
        return "-"
    except OSError as error:
        return str(error.errno)
