"""Every path that a commit changes, with the numbers that the policy needs."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ccterm.git.git import Arg, Git
from ccterm.git.objects import blob_sizes, read_blobs
from ccterm.git.types import Change

PLAIN = ("--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
"""The head of a hunk; its groups are the numbers of old and of new lines, None = 1."""
_ALIKE = ("-M95%", "-l3000", "--no-ext-diff", "--no-textconv", "--no-color")
_LEAST_LINES = 10
_LARGEST = 10 << 20
_READ = 256 << 20
"""How many bytes of what was changed are read at most to tell text from binary; the smallest files first."""
_FILES = (0o100644, 0o100755)
_BATCH = 32 << 20
_MOST_HIDDEN = 100
_HEAD = 8000
"""git calls a file binary that has a zero byte so near its beginning."""


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
    _add_lines(git, raw, changes, base_tree, commit)
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


def removed_lines(change: Change) -> int:
    """Return how many lines of text a change removes; text that became binary is all removed."""
    removed = change["removed"]
    return removed if removed is not None else change.get("old_lines") or 0


def _may_be_gutted(change: Change) -> bool:
    """Whether so many lines were removed that nine in ten may be gone."""
    removed, added = change["removed"] or 0, change["added"] or 0
    return change["new_mode"] is not None and removed >= _LEAST_LINES and 10 * added < removed


def _is_binary(content: bytes) -> bool:
    return b"\0" in content[:_HEAD]


def _add_lines(git: Git, raw: dict[bytes, RawChange], changes: dict[bytes, Change], base_tree: str, commit: str) -> None:
    """Count the lines of text that may be gutted, deleted or no longer text. Attributes may call text binary: then its numbers are asked for."""
    unsure = {path for path, change in changes.items() if change["removed"] is None}
    wanted = [path for path, change in changes.items() if raw[path].old_mode in _FILES and (path in unsure or _may_be_gutted(change))]
    hidden = set()
    for path, content in _contents(git, {path: (raw[path].old_sha, changes[path]["old_size"]) for path in wanted}):
        if path not in unsure or not _is_binary(content):
            changes[path]["old_lines"] = content.count(b"\n") + (not content.endswith(b"\n") if content else 0)
    texts = [path for path in unsure if changes[path].get("old_lines") and raw[path].new_mode in _FILES]
    for path, content in _contents(git, {path: (raw[path].new_sha, changes[path]["size"]) for path in texts}):
        if not _is_binary(content):
            hidden.add(path)
    for path, added, removed in _counted(git, sorted(hidden)[:_MOST_HIDDEN], base_tree, commit):
        changes[path]["added"], changes[path]["removed"] = added, removed


def _counted(git: Git, paths: Sequence[bytes], base_tree: str, commit: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield path, added and removed lines of texts that attributes call binary: only a patch can be asked to ignore that."""
    for path in paths:
        added = removed = old = new = 0
        for line in git.stream("diff-tree", "-r", "-p", "-U0", "--text", *PLAIN, base_tree, commit, "--", path):
            if old or new:
                old, new = old - line.startswith(b"-"), new - line.startswith(b"+")
            elif match := HUNK.match(line):
                old, new = (1 if count is None else int(count) for count in match.groups())
                added, removed = added + new, removed + old
        yield path, added, removed


def _contents(git: Git, blobs: dict[bytes, tuple[str, int]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield path and content of what is not too large, a few at a time. blobs: path -> object name and size."""
    batch: list[bytes] = []
    total = size = 0
    smallest = sorted(((length, path) for path, (_, length) in blobs.items() if length <= _LARGEST))
    for length, path in smallest:
        if (total := total + length) > _READ:
            break
        batch.append(path)
        if (size := size + length) > _BATCH:
            yield from zip(batch, read_blobs(git, [blobs[each][0] for each in batch]), strict=True)
            batch, size = [], 0
    yield from zip(batch, read_blobs(git, [blobs[each][0] for each in batch]), strict=True)


def _add_renames(git: Git, base_tree: str, commit: str, changes: dict[bytes, Change]) -> None:
    """Record for each deleted path where its content is now: git pairs each new path with one old path only."""
    for raw in raw_changes(git, "diff-tree", "--diff-filter=R", *_ALIKE, base_tree, commit):
        if raw.status.startswith("R") and raw.path in changes:
            changes[raw.path]["renamed_to"] = raw.new_path.decode("utf-8", "surrogateescape")
