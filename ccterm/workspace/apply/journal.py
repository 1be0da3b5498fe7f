"""What an apply is about to do to a working copy, durable before it begins, with every byte that it will replace.

Kept after a success too: it is what `undo` puts back.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from ccterm.errors import StateError
from ccterm.models import RunId, Value
from ccterm.state_dir import fsync_directory, private_directory, write_private
from ccterm.workspace.apply.changeset import Op

KEPT_SECONDS = 14 * 86400
UNDO = "undo"
"""What the name of an undo's own journal ends in."""
ID_LENGTH = 26
"""How much of a journal's name is the run's id."""
_NAME, _OLD = "journal.json", "old.bin"


class Phase(StrEnum):
    """How far an apply has come."""

    APPLYING = "applying"
    DONE = "done"
    UNDONE = "undone"


class Backup(Value):
    """Where the bytes lie that a path held: from, to."""

    begin: int = 0
    end: int = 0


class Directory(Value):
    """A directory that is there before, by its path as Latin-1, and its permission bits."""

    name: str
    mode: int


class Journal(Value):
    """One apply."""

    root: str
    stage: str
    """Name of the directory in the root where the new contents wait and the old ones go."""
    phase: Phase = Phase.APPLYING
    ops: tuple[Op, ...]
    backups: tuple[Backup, ...]
    made: tuple[str, ...] = ()
    """Directories, as Latin-1, that the apply has to make."""
    directories: tuple[Directory, ...] = ()
    """Directories that are there before and that deletions may empty; for an undo, those that were there at first."""
    exact: bool = False
    """Whether permission bits are restored as they are recorded, as undo does."""

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """Read a journal; None when there is none, or it was not finished being written: then nothing was touched."""
        try:
            return cls.model_validate_json((directory / _NAME).read_bytes())
        except (OSError, ValidationError):
            return None

    def write(self, directory: Path) -> Self:
        """Make this the journal of the directory, for good. Raises StateError."""
        write_private(directory / _NAME, self.model_dump_json().encode())
        return self

    def at(self, phase: Phase) -> Self:
        """Return it as it is in another phase."""
        return self.model_copy(update={"phase": phase})

    def backup(self, directory: Path, number: int) -> bytes:
        """Return the bytes that a path held. Raises OSError."""
        place = self.backups[number]
        with (directory / _OLD).open("rb") as file:
            file.seek(place.begin)
            return file.read(place.end - place.begin)


class Backups:
    """Writes the bytes that will be replaced, into one file that is made durable at once."""

    def __init__(self, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        private_directory(directory)
        self._directory = directory
        self._file = (directory / _OLD).open("xb")
        self.places: list[Backup] = []

    def add(self, data: bytes) -> None:
        """Keep the bytes of the next path. Raises OSError."""
        begin = self._file.tell()
        self._file.write(data)
        self.places.append(Backup(begin=begin, end=begin + len(data)))

    def close(self) -> None:
        """Make all of it durable. Raises OSError."""
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        fsync_directory(self._directory)
        with suppress(OSError):
            fsync_directory(self._directory.parent)


def journals(directory: Path) -> Iterator[tuple[Path, Journal]]:
    """Yield every journal that is kept; what no journal was finished for is removed, as nothing was touched by it."""
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        if journal := Journal.read(path):
            yield path, journal
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def phases(directory: Path) -> Iterator[tuple[RunId, Phase]]:
    """Yield how far which run's apply has come; an undo that is not noted yet counts as one half-way. Only looks."""
    for path in directory.iterdir() if directory.is_dir() else ():
        if journal := Journal.read(path):
            yield RunId(path.name[:ID_LENGTH]), Phase.APPLYING if path.name.endswith(UNDO) else journal.phase


def is_old(directory: Path) -> bool:
    """Whether a journal need not be kept any longer."""
    try:
        return time.time() - (directory / _NAME).stat().st_mtime > KEPT_SECONDS
    except OSError as error:
        raise StateError(f"{directory} cannot be read: {error.strerror}", "check who may read it") from error
