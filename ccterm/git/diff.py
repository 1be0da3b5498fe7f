"""Every path that a commit changes, with the numbers that a policy asks for."""

from collections.abc import Iterator, Sequence

from ccterm.git.git import Git
from ccterm.git.types import Change

PLAIN = ("--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
_ALIKE = ("-M95%", "-l3000", "--no-ext-diff", "--no-textconv", "--no-color")
_LEAST_LINES = 10
_LARGEST = 10 << 20


def list_changes(git: Git, base_tree: str, commit: str) -> list[Change]:
    """Return the changes in the order in which git tells of them."""
    fields = iter(git.fields("diff-tree", "-r", "-z", "--raw", "--numstat", "--no-abbrev", *PLAIN, base_tree, commit))
    raw: dict[bytes, list[bytes]] = {}
    counts: dict[bytes, list[int | None]] = {}
    for field in fields:
        if field.startswith(b":"):
            raw[next(fields)] = field[1:].split(b" ")
        else:
            added, removed, path = field.split(b"\t", 2)
            counts[path] = [None if number == b"-" else int(number) for number in (added, removed)]
    sizes = _sizes(git, [sha for about in raw.values() for sha in about[2:4]])
    changes = {path: _change(path, about, counts.get(path, [0, 0]), sizes) for path, about in raw.items()}
    _add_lines(git, {path: raw[path][2] for path, change in changes.items() if _may_be_gutted(change)}, changes)
    if any(change["new_mode"] is None for change in changes.values()):
        _add_renames(git, base_tree, commit, changes)
    return list(changes.values())


def count_lines(git: Git, tree: str, empty: str) -> int:
    """Return how many lines the text files of a tree have in all."""
    listed = git.fields("diff-tree", "-r", "-z", "--numstat", *PLAIN, empty, tree)
    return sum(int(field.split(b"\t", 1)[0]) for field in listed if field[:1].isdigit())


def changes_type(change: Change) -> bool:
    """Whether a file became a link or a submodule, or the other way round."""
    old, new = change["old_mode"], change["new_mode"]
    return old is not None and new is not None and old[:2] != new[:2]


def _change(path: bytes, about: Sequence[bytes], counts: Sequence[int | None], sizes: dict[bytes, int]) -> Change:
    old, new = (None if mode == b"000000" else mode.decode() for mode in about[:2])
    return {
        "path": path.decode("utf-8", "surrogateescape"),
        "old_mode": old,
        "new_mode": new,
        "added": counts[0],
        "removed": counts[1],
        "size": sizes.get(about[3], 0),
        "old_size": sizes.get(about[2], 0),
    }


def _sizes(git: Git, shas: Sequence[bytes]) -> dict[bytes, int]:
    listing = git.run("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=b"".join(sha + b"\n" for sha in shas))
    pairs = (line.split(b" ") for line in listing.splitlines())
    return {sha: int(size) for sha, size in pairs if size.isdigit()}


def _may_be_gutted(change: Change) -> bool:
    """Whether so many lines were removed that nine in ten may be gone."""
    removed, added = change["removed"] or 0, change["added"] or 0
    whole = change["old_mode"] is not None and change["new_mode"] is not None and change["old_size"] <= _LARGEST
    return whole and removed >= _LEAST_LINES and 10 * added < removed


def _add_lines(git: Git, blobs: dict[bytes, bytes], changes: dict[bytes, Change]) -> None:
    for path, content in zip(blobs, _contents(git, list(blobs.values())), strict=True):
        changes[path]["old_lines"] = content.count(b"\n") + (not content.endswith(b"\n") if content else 0)


def _contents(git: Git, shas: Sequence[bytes]) -> Iterator[bytes]:
    answer = git.run("cat-file", "--batch", stdin=b"".join(sha + b"\n" for sha in shas)) if shas else b""
    at = 0
    for _ in shas:
        end = answer.index(b"\n", at)
        size = int(answer[at:end].rsplit(b" ", 1)[1])
        at = end + size + 2
        yield answer[end + 1 : at - 1]


def _add_renames(git: Git, base_tree: str, commit: str, changes: dict[bytes, Change]) -> None:
    """Note of each deleted path where its content lives on: git pairs each such place with one path only."""
    fields = iter(git.fields("diff-tree", "-r", "-z", "--raw", "--diff-filter=R", *_ALIKE, base_tree, commit))
    for about in fields:
        old, new = next(fields), next(fields)
        if about.rsplit(b" ", 1)[1].startswith(b"R") and old in changes:
            changes[old]["renamed_to"] = new.decode("utf-8", "surrogateescape")
