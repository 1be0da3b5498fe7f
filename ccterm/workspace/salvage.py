"""Puts work into a salvage directory, makes it durable there, and reads it back: only then does anybody call it kept."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from ccterm.git.bounded_json import read_json
from ccterm.git.bundle import read_refs
from ccterm.models import Run
from ccterm.proof import Kept
from ccterm.storage import Storage
from ccterm.workspace.work import Work, forget

NOTE = "salvage.json"
TREE, CLEAN, LEFT = "tree", "clean.git", "left"
"""What a salvage directory without a commit holds: the agent's tree, the git directory that a commit of it can be made in, what setup left."""
_BLOCK = 1 << 20
_MOST_REFUSED = 2000


def keep_work(work: Work, to: Path, run: Run, storage: Storage) -> Kept | None:
    """Move a commit's files into the salvage directory `to` and verify them there.

    Returns None when files that were left out of the commit are copied there only in part. Raises OSError, ValueError when what is read
    back is not what was written.
    """
    storage.make_directory(to.parent)
    if not work.directory.exists():  # an earlier attempt came so far
        storage.sync_path(to)
    elif to.exists():  # it holds the tree that this commit was made of
        for entry in sorted(work.directory.iterdir()):
            storage.rename(entry, to / entry.name)
        work.directory.rmdir()
    else:
        storage.rename(work.directory, to)
    _note(to, run, work.commit, storage)
    make_durable(to, storage)
    kept = Work(to, work.commit, work.changes, side=work.side)
    verify(kept)
    for name in (TREE, CLEAN, LEFT):
        forget(to / name)
    return Kept(to) if _complete(to) else None


def keep_tree(to: Path, run: Run, storage: Storage) -> Kept:
    """Write down which run the tree in the salvage directory `to` belongs to, and make both durable. Raises OSError."""
    _note(to, run, None, storage)
    make_durable(to, storage)
    return Kept(to)


def make_durable(directory: Path, storage: Storage) -> None:
    """Make all files below a directory durable, and the directory itself. Raises OSError."""
    for at, directories, files in os.walk(directory, topdown=False):
        for name in (*files, *directories):
            path = Path(at, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                continue
            with suppress(PermissionError):  # an agent's own modes
                storage.sync_path(path)
    storage.sync_path(directory)
    storage.sync_path(directory.parent)


def verify(work: Work) -> None:
    """Read the bundles of a commit back. Raises OSError, ValueError when they do not hold what they should or are damaged."""
    if work.commit is not None:
        _check_bundle(work.bundle, {work.commit})
    if work.side:
        _check_bundle(work.side_bundle, {ref.sha for ref in work.side})


def keep_side_work(work: Work, storage: Storage) -> None:
    """Make what was left beside a delivered tree, if anything, durable where it is, and verify it there. Raises OSError, ValueError."""
    if work.side:
        make_durable(work.directory, storage)
        verify(work)


def _check_bundle(path: Path, wanted: set[str]) -> None:
    with path.open("rb") as file:
        named = {*read_refs(file).values()}
        if not wanted <= named:
            raise ValueError(f"{path} does not name {', '.join(sorted(wanted - named)[:3])}")
        _check_pack(path, file.tell(), hashlib.sha256() if len(min(wanted)) == 64 else hashlib.sha1(usedforsecurity=False))


def _check_pack(path: Path, begin: int, digest: "hashlib._Hash") -> None:
    """Compare the digest at the end of a pack with its content."""
    end = path.stat().st_size - digest.digest_size
    with path.open("rb") as file:
        file.seek(begin)
        while (left := end - file.tell()) > 0 and (block := file.read(min(_BLOCK, left))):
            digest.update(block)
        if file.read() != digest.digest():
            raise ValueError(f"{path} is damaged")


def _complete(directory: Path) -> bool:
    """Return whether all files that were left out of the commit are copied in full."""
    index = directory / "refused" / "index.json"
    if not index.exists():
        return True
    listed = read_json(index.read_bytes())
    whole = all("target" in about or (about["file"] is not None and about.get("kept") == about.get("size")) for about in listed)
    return whole and len(listed) < _MOST_REFUSED


def size_of(directory: Path) -> int:
    """Return how many bytes a directory occupies; what cannot be read counts nothing."""
    size = 0
    for at, _, names in os.walk(directory):
        for name in names:
            try:
                size += os.lstat(os.path.join(at, name)).st_size  # noqa: PTH118 - quick, for large trees
            except OSError:
                continue
    return size


def _note(to: Path, run: Run, commit: str | None, storage: Storage) -> None:
    task = run.task
    facts = {"run": run.id, "remote": task.remote, "branch": task.branch, "base": run.base_sha, "commit": commit, "prompt": task.prompt}
    storage.create(to / NOTE, (json.dumps(facts, indent=1) + "\n").encode())
