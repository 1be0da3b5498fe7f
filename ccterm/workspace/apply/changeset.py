"""What a run wants to change in a working copy: path by path from T0 to T1, each byte of T1 beside it, taken from checked objects.

A box is not believed: its pack goes through git's own checks, and every name, mode and link is judged here again.
"""

import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import ConfigDict, TypeAdapter

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.git.git import Git, GitError
from ccterm.git.names import is_dotgit, link_leaves, shown, too_deep, unfit
from ccterm.models import PendingChange, Run, Value
from ccterm.policy.rules import Refusal
from ccterm.workspace.rooted import NOTHING, Content, Kind
from ccterm.workspace.snapshot.manifest import Manifest, read_manifest

CHANGES = "sync"
"""Name of the directory in a run's work."""
_OPS = "ops.json"
_MODES = (0o100644, 0o100755, 0o120000)


class Op(Value):
    """One path: what it held and what it shall hold."""

    name: str
    """The path's bytes as Latin-1, so that any byte can be kept."""
    old: Content
    new: Content
    file: str = ""
    """Where the new bytes lie, in the change set's directory."""

    @property
    def path(self) -> bytes:
        """The path as bytes."""
        return self.name.encode("latin-1")

    @property
    def deed(self) -> Literal["added", "modified", "deleted"]:
        """What is done to the path."""
        return "added" if self.old == NOTHING else "deleted" if self.new == NOTHING else "modified"

    @property
    def shown(self) -> str:
        """The path for people."""
        return shown(self.path)


_LIST: TypeAdapter[tuple[Op, ...]] = TypeAdapter(tuple[Op, ...], config=ConfigDict(defer_build=True))


@dataclass(frozen=True)
class ChangeSet:
    """All changes of one run, in a directory of their own."""

    directory: Path
    ops: tuple[Op, ...]

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """Read a change set; None when there is none. Raises ValueError."""
        try:
            return cls(directory, _LIST.validate_json((directory / _OPS).read_bytes()))
        except OSError:
            return None

    def write(self) -> None:
        """Write the list of changes. Raises OSError."""
        (self.directory / _OPS).write_bytes(_LIST.dump_json(self.ops))

    def only(self, paths: Sequence[str]) -> "ChangeSet":
        """Return the changes of some paths; of all when none is named."""
        return ChangeSet(self.directory, tuple(op for op in self.ops if op.shown in paths)) if paths else self

    def without(self, paths: Sequence[str]) -> "ChangeSet":
        """Return the changes but those of some paths."""
        return ChangeSet(self.directory, tuple(op for op in self.ops if op.shown not in paths))

    def data(self, op: Op) -> bytes:
        """Return the bytes that a path shall hold. Raises OSError."""
        return (self.directory / op.file).read_bytes()


def pending_changes(run: Run) -> list[PendingChange]:
    """Return what a run that is not applied yet would change."""
    changes = ChangeSet.read(Path(run.salvage.directory) / CHANGES) if run.salvage else None
    return [PendingChange(path=op.shown, deed=op.deed) for op in changes.ops] if changes else []


def extract(clean: Path, bundle: Path, *, base: str, commit: str, manifest: Path, to: Path) -> tuple[ChangeSet, list[Refusal]]:
    """Make the change set of a commit in the new directory `to`, and what of it must never be applied. Raises StepError(commit)."""
    git = Git(str(clean))
    try:
        _take_in(git, bundle)
        if git.text("rev-parse", "--verify", f"{commit}^") != base:
            raise GitError("git", "the commit does not stand on the snapshot")
        to.mkdir(mode=0o700)
        return _Extraction(git, read_manifest(manifest).rows, to).run(base, commit)
    except (GitError, OSError) as error:
        raise StepError(Cause.COMMIT, f"the changes cannot be read from the commit: {error}") from error


def _take_in(git: Git, bundle: Path) -> None:
    """Take the pack out of a bundle into the repository, each object checked. A bundle itself is fetched without any check."""
    with bundle.open("rb") as file:
        while file.readline() not in (b"\n", b""):
            continue
        git.run("index-pack", "--strict", "--fix-thin", "--stdin", stdin=file.read())


class _Extraction:
    """Takes the changes out, one by one."""

    def __init__(self, git: Git, manifest: Manifest, to: Path) -> None:
        self._git, self._manifest, self._to = git, manifest, to
        self._refused: list[Refusal] = []

    def run(self, base: str, commit: str) -> tuple[ChangeSet, list[Refusal]]:
        told = list(_told(self._git, base, commit))
        blobs = self._blobs([sha for _, mode, sha in told if mode in _MODES])
        ops = [op for number, (path, mode, sha) in enumerate(told) if (op := self._op(number, path, mode, blobs.get(sha, b"")))]
        changes = ChangeSet(self._to, tuple(ops))
        changes.write()
        return changes, self._refused

    def _op(self, number: int, path: bytes, mode: int, data: bytes) -> Op | None:
        if wrong := _wrong(path, mode, data, new=path not in self._manifest):
            self._refused.append((wrong[0], shown(path), wrong[1]))
            return None
        row = self._manifest.get(path)
        old = row.content if row else NOTHING
        name = path.decode("latin-1")
        if not mode:
            return Op(name=name, old=old, new=NOTHING)
        (self._to / str(number)).write_bytes(data)
        return Op(name=name, old=old, new=Content.of(data, mode), file=str(number))

    def _blobs(self, shas: Sequence[str]) -> Mapping[str, bytes]:
        answer = self._git.run("cat-file", "--batch", stdin="".join(f"{sha}\n" for sha in shas).encode()) if shas else b""
        found, at = {}, 0
        for sha in shas:
            end = answer.index(b"\n", at)
            size = int(answer[at:end].rsplit(b" ", 1)[1])
            found[sha] = answer[end + 1 : end + 1 + size]
            at = end + size + 2
        return found


def _told(git: Git, base: str, commit: str) -> Iterator[tuple[bytes, int, str]]:
    """Yield path, new mode (0 = gone) and new object of every change."""
    fields = iter(git.fields("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", base, commit))
    for about in fields:
        _, mode, _, sha, _ = about.split(b" ")
        yield next(fields), int(mode, 8), sha.decode()


def _wrong(path: bytes, mode: int, data: bytes, *, new: bool) -> tuple[str, str] | None:
    """Return rule and detail of what is wrong with a change, or None."""
    parts = path.split(b"/")
    if any(part in (b"", b".", b"..") for part in parts) or any(map(is_dotgit, parts)):
        return "dotgit", "some systems take this name for .git, or for a way out"
    if mode and mode not in _MODES:
        return ("gitlink", "a submodule") if mode == 0o160000 else ("special", f"mode {mode:o}")
    if mode and (deep := too_deep(path)):
        return "depth", deep
    if mode and new and (why := next(filter(None, map(unfit, parts)), "")):
        return "name", why
    if stat.S_ISLNK(mode) and (why := link_leaves(path, data)):
        return "symlink", why
    return None


def diffstat(changes: ChangeSet) -> list[str]:
    """Return one line per path for people: A, M or D, and the path."""
    return [f"{_letter(op)} {op.shown}" for op in changes.ops]


def _letter(op: Op) -> str:
    if op.old.kind is Kind.NOTHING:
        return "A"
    return "D" if op.new.kind is Kind.NOTHING else "T" if op.old.kind is not op.new.kind else "M"
