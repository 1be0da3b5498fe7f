"""Every path that a commit changes, with the numbers that the policy needs."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ccterm.git.git import Arg, Git
from ccterm.git.objects import blob_sizes, read_blobs
from ccterm.git.types import Change

PLAIN = ("--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
_ALIKE = ("-M95%", "-l3000", "--no-ext-diff", "--no-textconv", "--no-color")
_LEAST_LINES = 10
_LARGEST = 10 << 20


class RawChange(NamedTuple):
    """One record of git's raw diff; mode 0 = absent on that side."""

    old_mode: int
    new_mode: int
    old_sha: str
    new_sha: str
    status: str
    """The letter, for a rename followed by its similarity."""
    path: bytes
    new_path: bytes
    """Of a rename; else the same as `path`."""


def raw_changes(git: Git, *args: Arg) -> Iterator[RawChange]:
    """Run a diff command of git with raw output and yield its records. Raises GitError."""
    return _read_raw(git.fields(*args[:1], "-r", "-z", "--raw", "--no-abbrev", *args[1:]))


def _read_raw(fields: Iterable[bytes]) -> Iterator[RawChange]:
    rest = iter(fields)
    for about in rest:
        old_mode, new_mode, old_sha, new_sha, status = about.decode("ascii").lstrip(":").split(" ")
        path = next(rest)
        new_path = next(rest) if status[0] in "RC" else path
        yield RawChange(int(old_mode, 8), int(new_mode, 8), old_sha, new_sha, status, path, new_path)


def _read_numstat(fields: Iterable[bytes]) -> Iterator[tuple[bytes, int | None, int | None]]:
    """Yield path, added and removed lines; both are None for a binary file."""
    for field in fields:
        added, removed, path = field.split(b"\t", 2)
        yield path, None if added == b"-" else int(added), None if removed == b"-" else int(removed)


def list_changes(git: Git, base_tree: str, commit: str) -> list[Change]:
    """Return the changes in git's order."""
    fields = git.fields("diff-tree", "-r", "-z", "--raw", "--numstat", "--no-abbrev", *PLAIN, base_tree, commit)
    end = 0
    while end < len(fields) and fields[end].startswith(b":"):  # about, path, about, path, …; the numbers follow
        end += 2
    raw = {change.path: change for change in _read_raw(fields[:end])}
    counts = {path: (added, removed) for path, added, removed in _read_numstat(fields[end:])}
    sizes = blob_sizes(git, (sha for change in raw.values() for sha in (change.old_sha, change.new_sha)))
    changes = {path: _change(change, counts.get(path, (0, 0)), sizes) for path, change in raw.items()}
    _add_lines(git, {path: raw[path].old_sha for path, change in changes.items() if _may_be_gutted(change)}, changes)
    if any(change["new_mode"] is None for change in changes.values()):
        _add_renames(git, base_tree, commit, changes)
    return list(changes.values())


def count_lines(git: Git, tree: str, empty: str) -> int:
    """Return how many lines the text files of a tree have in total."""
    listed = _read_numstat(git.fields("diff-tree", "-r", "-z", "--numstat", *PLAIN, empty, tree))
    return sum(added or 0 for _, added, _ in listed)


def changes_type(change: Change) -> bool:
    """Whether a file became a link or a submodule, or the other way round."""
    old, new = change["old_mode"], change["new_mode"]
    return old is not None and new is not None and old[:2] != new[:2]


def _change(raw: RawChange, counts: tuple[int | None, int | None], sizes: dict[str, int]) -> Change:
    return {
        "path": raw.path.decode("utf-8", "surrogateescape"),
        "old_mode": f"{raw.old_mode:06o}" if raw.old_mode else None,
        "new_mode": f"{raw.new_mode:06o}" if raw.new_mode else None,
        "added": counts[0],
        "removed": counts[1],
        "size": sizes.get(raw.new_sha, 0),
        "old_size": sizes.get(raw.old_sha, 0),
    }


def _may_be_gutted(change: Change) -> bool:
    """Whether so many lines were removed that nine in ten may be gone."""
    removed, added = change["removed"] or 0, change["added"] or 0
    whole = change["old_mode"] is not None and change["new_mode"] is not None and change["old_size"] <= _LARGEST
    return whole and removed >= _LEAST_LINES and 10 * added < removed


def _add_lines(git: Git, blobs: dict[bytes, str], changes: dict[bytes, Change]) -> None:
    for path, content in zip(blobs, read_blobs(git, list(blobs.values())), strict=True):
        changes[path]["old_lines"] = content.count(b"\n") + (not content.endswith(b"\n") if content else 0)


def _add_renames(git: Git, base_tree: str, commit: str, changes: dict[bytes, Change]) -> None:
    """Record for each deleted path where its content is now: git pairs each new path with one old path only."""
    for raw in raw_changes(git, "diff-tree", "--diff-filter=R", *_ALIKE, base_tree, commit):
        if raw.status.startswith("R") and raw.path in changes:
            changes[raw.path]["renamed_to"] = raw.new_path.decode("utf-8", "surrogateescape")
