"""A commit that a run made, as kept on the host: bundle, patch, numbers, and what was left out of it."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from ccterm.git.bounded_json import MANY, read_json
from ccterm.kept_refs import KeptRef
from ccterm.models import Run
from ccterm.state_dir import StateDir
from ccterm.values import Changes

BUNDLE = "work.bundle"
Refusal = tuple[str, str, str]
"""What was left out of a commit, or must not be applied: rule, path, detail."""


@dataclass(frozen=True)
class PathChange:
    """One changed path, as the step commit reports it. Modes as git writes them, None = absent on that side; lines of a binary are None."""

    path: str
    """Bytes that are not UTF-8 stand as lone surrogates."""
    old_mode: str | None = None
    new_mode: str | None = None
    added: int | None = None
    removed: int | None = None
    size: int = 0
    old_size: int = 0
    old_lines: int | None = None
    renamed_to: str | None = None
    span: tuple[int, int] = (0, 0)
    """Begin and end of its bytes in added.bin."""

    @classmethod
    def read(cls, record: Mapping[str, object]) -> "PathChange":
        """Check what the step wrote, field by field. Raises ValueError."""
        span = record.get("span")
        begin, end = span if isinstance(span, list) and len(span) == 2 else (0, 0)
        return cls(
            path=str(record["path"]),
            old_mode=_text(record.get("old_mode")),
            new_mode=_text(record.get("new_mode")),
            added=_number(record.get("added")),
            removed=_number(record.get("removed")),
            size=_number(record.get("size")) or 0,
            old_size=_number(record.get("old_size")) or 0,
            old_lines=_number(record.get("old_lines")),
            renamed_to=_text(record.get("renamed_to")),
            span=(_number(begin) or 0, _number(end) or 0),
        )

    @property
    def raw(self) -> bytes:
        """The path as bytes."""
        return self.path.encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Work:
    """What the step commit left in `directory`."""

    directory: Path
    commit: str | None
    """None when every change was refused."""
    changes: Changes
    listed: tuple[PathChange, ...] = ()
    side: tuple[KeptRef, ...] = ()
    """What the agent left beside its tree."""

    @classmethod
    def read(cls, directory: Path, commit: str | None, changes: Changes, side: Sequence[KeptRef] = ()) -> Self:
        """Read what was collected to the host. Raises OSError and ValueError."""
        index = directory / "changes.json"
        listed = read_json(index.read_bytes(), values=MANY) if index.exists() else []
        return cls(directory, commit, changes, tuple(map(PathChange.read, listed)), tuple(side))

    @property
    def bundle(self) -> Path:
        """The commit as a git bundle on top of the base."""
        return self.directory / BUNDLE

    @property
    def side_bundle(self) -> Path:
        """What the agent left beside its tree, as a git bundle."""
        return self.directory / "side.bundle"

    @property
    def patch(self) -> Path:
        """The commit as a patch against the base."""
        return self.directory / "work.patch"

    @property
    def added(self) -> Path:
        """The bytes that the commit adds, for the secret scan; removed after it."""
        return self.directory / "added.bin"

    def touches(self, globs: Sequence[str]) -> bool:
        """Whether the commit changes a path that one of the globs matches, in full or by its last part."""
        return any(
            fnmatchcase(path, glob) or fnmatchcase(path.rpartition("/")[2], glob)
            for path in (change.path for change in self.listed)
            for glob in globs
        )


def patch_of(run: Run, state: StateDir) -> Path | None:
    """Return a run's patch, or None when it left nothing. Without a commit it is that of what the agent left beside its tree."""
    return _kept(run, state, "work.patch") or (_kept(run, state, "side.patch") if run.side else None)


def bundle_of(run: Run, state: StateDir) -> Path | None:
    """Return a run's bundle, or None when it made no commit."""
    return _kept(run, state, BUNDLE)


def side_bundle_of(run: Run, state: StateDir) -> Path | None:
    """Return the bundle of what a run's agent left beside its tree, or None when it left nothing there."""
    return _kept(run, state, "side.bundle") if run.side else None


def kept_directory(run: Run, state: StateDir) -> Path | None:
    """Return the directory of a run's work, salvaged or delivered, or None when it made none."""
    bundle = bundle_of(run, state)
    return bundle.parent if bundle else None


def _kept(run: Run, state: StateDir, name: str) -> Path | None:
    salvaged = [Path(run.salvage.directory)] if run.salvage else []
    return next((directory / name for directory in [*salvaged, state.work(run.id)] if (directory / name).is_file()), None)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value


def forget(directory: Path) -> None:
    """Remove a directory that holds nothing which is not elsewhere."""
    shutil.rmtree(directory, ignore_errors=True)
