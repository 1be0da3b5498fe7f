"""A commit that a run made, as it lies on the host: bundle, patch, numbers, and what had to stay out of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from ccterm.models import Changes, Run
from ccterm.state_dir import StateDir


@dataclass(frozen=True)
class Work:
    """What harvest left in `directory`."""

    directory: Path
    commit: str | None
    """None when every change was refused."""
    changes: Changes
    paths: tuple[str, ...]
    """The changed paths; bytes that are not UTF-8 stand as lone surrogates."""

    @classmethod
    def read(cls, directory: Path, commit: str | None, changes: Changes) -> Self:
        """Read what `collect` brought to the host. Raises OSError and ValueError."""
        index = directory / "changes.json"
        listed = json.loads(index.read_text("utf-8")) if index.exists() else []
        return cls(directory, commit, changes, tuple(str(change["path"]) for change in listed))

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
        return any(fnmatchcase(path, glob) or fnmatchcase(path.rpartition("/")[2], glob) for path in self.paths for glob in globs)


def patch_of(run: Run, state: StateDir) -> Path | None:
    """Return where a run's patch lies, or None when it made no commit."""
    return _kept(run, state, "work.patch")


def bundle_of(run: Run, state: StateDir) -> Path | None:
    """Return where a run's bundle lies, or None when it made no commit."""
    return _kept(run, state, "work.bundle")


def _kept(run: Run, state: StateDir, name: str) -> Path | None:
    places = [Path(run.salvage.directory)] if run.salvage else []
    return next((place / name for place in [*places, state.work(run.id)] if (place / name).is_file()), None)
