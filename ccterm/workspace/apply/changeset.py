"""What a run wants to change in a working copy: path by path from T0 to T1, with the bytes of T1, taken from checked objects.

A box is not trusted: its pack goes through git's own checks, and every name, mode and link is checked here again.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from pydantic import ConfigDict, TypeAdapter

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.git.bundle import take_bundle
from ccterm.git.diff import PLAIN, raw_changes
from ccterm.git.git import Git, GitError, hash_name
from ccterm.git.names import is_dotgit, shown, too_deep, unfit
from ccterm.git.objects import blob_name, read_blobs, write_loose_blob
from ccterm.git.tree import GITLINK
from ccterm.models import Run
from ccterm.storage import STORAGE, Storage
from ccterm.values import PendingChange, Value
from ccterm.workspace.apply.tree_check import TreeCheck
from ccterm.workspace.content import NOTHING, Content, Kind
from ccterm.workspace.masks import Masks
from ccterm.workspace.snapshot.manifest import Rows, read_manifest
from ccterm.workspace.work import Refusal

CHANGES = "sync"
"""Name of the directory in a run's work."""
_OPS = "ops.json"
_HISTORY = "history"
_MODES = (0o100644, 0o100755, 0o120000)


class FileChange(Value):
    """One path: what it held and what it is to hold."""

    name: str
    """The path's bytes as Latin-1, so that any byte can be kept."""
    old: Content
    new: Content
    file: str = ""
    """Name of the file with the new bytes, in the change set's directory."""

    @property
    def path(self) -> bytes:
        """The path as bytes."""
        return self.name.encode("latin-1")

    @property
    def status(self) -> Literal["added", "modified", "retyped", "deleted"]:
        """What happens to the path."""
        if self.old.kind is Kind.NOTHING:
            return "added"
        return "deleted" if self.new.kind is Kind.NOTHING else "retyped" if self.old.kind is not self.new.kind else "modified"

    @property
    def shown(self) -> str:
        """The path for people."""
        return shown(self.path)


_LIST: TypeAdapter[tuple[FileChange, ...]] = TypeAdapter(tuple[FileChange, ...], config=ConfigDict(defer_build=True))


@dataclass(frozen=True)
class ChangeSet:
    """All changes of one run, in a directory of their own."""

    directory: Path
    ops: tuple[FileChange, ...]
    history: tuple[str, ...] = ()
    """Commits of which the repository that the changes were made for has at least one."""

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """Read a change set; None if there is none. Raises ValueError."""
        try:
            ops = _LIST.validate_json((directory / _OPS).read_bytes())
        except OSError:
            return None
        history = directory / _HISTORY
        return cls(directory, ops, tuple(history.read_text("ascii").split()) if history.exists() else ())

    def write(self) -> None:
        """Write the list of changes. Raises OSError."""
        (self.directory / _OPS).write_bytes(_LIST.dump_json(self.ops))
        (self.directory / _HISTORY).write_text("\n".join(self.history), "ascii")

    def only(self, paths: Sequence[str]) -> "ChangeSet":
        """Return the changes of these paths, or of all if none is given."""
        return replace(self, ops=tuple(change for change in self.ops if change.shown in paths)) if paths else self

    def without(self, paths: Sequence[str]) -> "ChangeSet":
        """Return the changes except those of these paths."""
        return replace(self, ops=tuple(change for change in self.ops if change.shown not in paths))

    def tree_on(self, git: Git, base: str, ops: Sequence[FileChange]) -> str:
        """Make the tree of the commit `base` with some of the changes in a git directory of ours; return its name. Raises GitError, OSError."""
        assert git.directory
        index = Path(git.directory) / "changes-index"
        git = git.with_env({"GIT_INDEX_FILE": str(index)})
        git.run("read-tree", base)
        lines = []
        for change in ops:
            mode, name = 0, "0" * len(base)
            if change.new.kind is not Kind.NOTHING:
                data = self.data(change)
                mode, name = change.new.git_mode, blob_name(hash_name(base), data)
                write_loose_blob(str(index.with_name("objects")), name, data)
            lines.append(b"%o %s\t%s\0" % (mode, name.encode(), change.path))
        git.run("update-index", "-z", "--add", "--replace", "--index-info", stdin=b"".join(lines))
        tree = git.text("write-tree")
        index.unlink()
        return tree

    def data(self, change: FileChange) -> bytes:
        """Return the bytes that a path is to hold. Raises OSError."""
        return (self.directory / change.file).read_bytes()


def pending_changes(run: Run) -> list[PendingChange]:
    """Return what a run that has not been applied yet would change."""
    directory = Path(run.salvage.directory) if run.salvage else None
    changes = ChangeSet.read(directory / CHANGES) if directory else None
    if directory is None or changes is None:
        return []
    masks = Masks.read(directory)
    names = masks.names if masks else {}
    return [PendingChange(path=names.get(change.shown, change.shown), status=change.status) for change in changes.ops]


def extract(
    clean: Path, bundle: Path, *, base: str, commit: str, manifest: Path, root: Path, to: Path, storage: Storage = STORAGE
) -> tuple[ChangeSet, list[Refusal]]:
    """Make the change set of a commit in the directory `to`; return it with what must never be applied. Raises StepError(commit).

    root: the working copy that it is for. What an attempt that was killed left in `to` is replaced.
    """
    git = Git(str(clean))
    try:
        take_bundle(git, str(bundle), commit)
        if git.text("rev-parse", "--verify", f"{commit}^") != base:
            raise GitError("git", "the commit is not based on the snapshot")
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir(mode=0o700)
        return storage.bulk(to, lambda: _Extraction(git, read_manifest(manifest).rows, to, root).run(base, commit))
    except (GitError, OSError) as error:
        raise StepError(Cause.COMMIT, f"the changes cannot be read from the commit: {error}") from error


class _Extraction:
    """Extracts the changes, one by one."""

    def __init__(self, git: Git, manifest: Rows, to: Path, root: Path) -> None:
        self._git, self._manifest, self._to, self._root = git, manifest, to, root
        self._wrong: Mapping[bytes, tuple[str, str]] = {}
        self._refused: list[Refusal] = []

    def run(self, base: str, commit: str) -> tuple[ChangeSet, list[Refusal]]:
        raw = list(raw_changes(self._git, "diff-tree", *PLAIN, base, commit))
        self._wrong = TreeCheck(self._git, self._root, base, commit).wrong(raw, self._manifest.keys())
        names = [each.new_sha for each in raw if each.new_mode in _MODES]
        blobs = dict(zip(names, read_blobs(self._git, names), strict=True))
        found = (self._change(number, each.path, each.new_mode, blobs.get(each.new_sha, b"")) for number, each in enumerate(raw))
        ops = [change for change in found if change]
        # the snapshot itself is a commit of the user's only when nothing differed from it; else its parent is
        history = tuple(self._git.text("rev-parse", base, f"{base}^@").split())
        changes = ChangeSet(self._to, tuple(ops), history)
        changes.write()
        return changes, self._refused

    def _change(self, number: int, path: bytes, mode: int, data: bytes) -> FileChange | None:
        if wrong := self._wrong.get(path) or _wrong(path, mode, new=path not in self._manifest):
            self._refused.append((wrong[0], shown(path), wrong[1]))
            return None
        row = self._manifest.get(path)
        if row and row.is_pointer:
            self._refused.append(("lfs", shown(path), "is in LFS, and the agent had only the pointer to it"))
            return None
        old = row.content if row else NOTHING
        name = path.decode("latin-1")
        if not mode:
            return FileChange(name=name, old=old, new=NOTHING)
        (self._to / str(number)).write_bytes(data)
        return FileChange(name=name, old=old, new=Content.of(data, mode), file=str(number))


def _wrong(path: bytes, mode: int, *, new: bool) -> tuple[str, str] | None:
    """Return rule and detail of what is wrong with a change, or None."""
    parts = path.split(b"/")
    if any(part in (b"", b".", b"..") for part in parts) or any(map(is_dotgit, parts)):
        return "dotgit", "some systems take this name for .git, or for a way out of the tree"
    if mode and mode not in _MODES:
        return ("gitlink", "a submodule") if mode == GITLINK else ("special", f"mode {mode:o}")
    if mode and (deep := too_deep(path)):
        return "depth", deep
    if mode and new and (why := next(filter(None, map(unfit, parts)), "")):
        return "name", why
    return None
