"""A commit that a run made, as it lies on the host: bundle, patch, numbers, and what had to stay out of it."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from ccterm.models import Changes, Run
from ccterm.state_dir import StateDir


@dataclass(frozen=True)
class PathChange:
    """One changed path, as commit tells of it; modes as git writes them, None = absent on that side, or a binary's lines."""

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
    """Where its bytes begin and end in added.bin."""

    @classmethod
    def read(cls, told: Mapping[str, object]) -> "PathChange":
        """Take what commit wrote, field by field. Raises ValueError."""
        span = told.get("span")
        begin, end = span if isinstance(span, list) and len(span) == 2 else (0, 0)
        return cls(
            path=str(told["path"]),
            old_mode=_text(told.get("old_mode")),
            new_mode=_text(told.get("new_mode")),
            added=_number(told.get("added")),
            removed=_number(told.get("removed")),
            size=_number(told.get("size")) or 0,
            old_size=_number(told.get("old_size")) or 0,
            old_lines=_number(told.get("old_lines")),
            renamed_to=_text(told.get("renamed_to")),
            span=(_number(begin) or 0, _number(end) or 0),
        )

    @property
    def raw(self) -> bytes:
        """The path as bytes."""
        return self.path.encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Work:
    """What commit left in `directory`."""

    directory: Path
    commit: str | None
    """None when every change was refused."""
    changes: Changes
    listed: tuple[PathChange, ...] = ()

    @classmethod
    def read(cls, directory: Path, commit: str | None, changes: Changes) -> Self:
        """Read what `collect` brought to the host. Raises OSError and ValueError."""
        index = directory / "changes.json"
        listed = json.loads(index.read_text("utf-8")) if index.exists() else []
        return cls(directory, commit, changes, tuple(map(PathChange.read, listed)))

    @property
    def bundle(self) -> Path:
        """The commit as a git bundle on top of the base."""
        return self.directory / "work.bundle"

    @property
    def patch(self) -> Path:
        """The commit as a patch against the base."""
        return self.directory / "work.patch"

    @property
    def added(self) -> Path:
        """The bytes that the commit adds, for the secret scan; gone after it."""
        return self.directory / "added.bin"

    def touches(self, globs: Sequence[str]) -> bool:
        """Whether the commit changes a path that one of the globs names, by its whole path or by its last part."""
        return any(
            fnmatchcase(path, glob) or fnmatchcase(path.rpartition("/")[2], glob)
            for path in (change.path for change in self.listed)
            for glob in globs
        )


def patch_of(run: Run, state: StateDir) -> Path | None:
    """Return where a run's patch lies, or None when it made no commit."""
    return _kept(run, state, "work.patch")


def bundle_of(run: Run, state: StateDir) -> Path | None:
    """Return where a run's bundle lies, or None when it made no commit."""
    return _kept(run, state, "work.bundle")


def kept_directory(run: Run, state: StateDir) -> Path | None:
    """Return the directory of a run's work, salvaged or delivered, or None when it made none."""
    bundle = bundle_of(run, state)
    return bundle.parent if bundle else None


def _kept(run: Run, state: StateDir, name: str) -> Path | None:
    places = [Path(run.salvage.directory)] if run.salvage else []
    return next((place / name for place in [*places, state.work(run.id)] if (place / name).is_file()), None)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


NOTE = "salvage.json"


def keep_work(work: Work, to: Path, run: Run) -> None:
    """Move a commit's files into the salvage directory `to`, which must not exist yet. Raises OSError."""
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    work.directory.rename(to)
    _note(to, run, work.commit)


def keep_tree(to: Path, run: Run) -> None:
    """Note what the tree below the salvage directory `to` is. Raises OSError."""
    _note(to, run, None)


def _note(to: Path, run: Run, commit: str | None) -> None:
    task = run.task
    facts = {"run": run.id, "remote": task.remote, "branch": task.branch, "base": run.base_sha, "commit": commit, "prompt": task.prompt}
    (to / NOTE).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def forget(directory: Path) -> None:
    """Remove a salvage directory."""
    shutil.rmtree(directory, ignore_errors=True)
