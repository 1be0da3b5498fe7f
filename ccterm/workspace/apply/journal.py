"""What an apply is about to do to a working copy, made durable before it begins, with every byte that it will replace.

It is kept after a success too, for `undo`.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from ccterm.errors import StateError
from ccterm.models import RunId
from ccterm.state_dir import write_private
from ccterm.storage import STORAGE, Storage
from ccterm.values import Value
from ccterm.workspace.apply.changeset import FileChange

KEPT_SECONDS = 14 * 86400
UNDO = "undo"
"""Suffix of the name of an undo's own journal."""
ID_LENGTH = 26
"""How many characters of a journal's name are the run's id."""
_NAME, _OLD = "journal.json", "old.bin"


class Phase(StrEnum):
    """How far an apply got."""

    APPLYING = "applying"
    DONE = "done"
    UNDONE = "undone"


class Backup(Value):
    """Where, in the file of backups, the bytes are that a path held."""

    begin: int = 0
    end: int = 0


class Directory(Value):
    """A directory that existed before: its path as Latin-1, and its permission bits."""

    name: str
    mode: int


class Journal(Value):
    """One apply."""

    root: str
    stage: str
    """Name of the directory with the new contents and, later, the old ones: in the root, and in each of `mounts`."""
    mounts: tuple[str, ...] = ()
    """Directories, as Latin-1, at which other file systems begin that the apply writes to."""
    phase: Phase = Phase.APPLYING
    history: tuple[str, ...] = ()
    """Commits by which its repository is known again; see ChangeSet."""
    ops: tuple[FileChange, ...]
    backups: tuple[Backup, ...]
    linked: tuple[tuple[int, ...], ...] = ()
    """Numbers of the changes to one file with several names, for each that is written in place; the first writes it."""
    made: tuple[str, ...] = ()
    """Directories, as Latin-1, that the apply makes."""
    directories: tuple[Directory, ...] = ()
    """Directories that existed before and that deletions may empty; for an undo, those that existed before the apply."""
    exact: bool = False
    """Whether permission bits are restored exactly as recorded, as undo does."""

    @property
    def in_place(self) -> frozenset[int]:
        """Numbers of the changes that are written in place, or together with one that is."""
        return frozenset(number for group in self.linked for number in group)

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """Read a journal; None when there is none, or it was not completely written: then nothing was touched."""
        try:
            return cls.model_validate_json((directory / _NAME).read_bytes())
        except (OSError, ValidationError):
            return None

    def write(self, directory: Path, storage: Storage = STORAGE) -> Self:
        """Write the journal durably. Raises StateError."""
        write_private(directory / _NAME, self.model_dump_json().encode(), storage)
        return self

    def at(self, phase: Phase) -> Self:
        """Return the same journal in another phase."""
        return self.model_copy(update={"phase": phase})

    def backup(self, directory: Path, number: int) -> bytes:
        """Return the bytes that a path held. Raises OSError."""
        backup = self.backups[number]
        with (directory / _OLD).open("rb") as file:
            file.seek(backup.begin)
            return file.read(backup.end - backup.begin)


class Backups:
    """Writes the bytes that will be replaced into one file, made durable in one go."""

    def __init__(self, directory: Path, storage: Storage) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        storage.make_directory(directory)
        self._directory = directory
        self._storage = storage
        self._file = (directory / _OLD).open("xb")
        self._end = 0
        self.kept: list[Backup] = []

    def add(self, data: bytes) -> None:
        """Keep the bytes of the next path. Raises OSError."""
        begin, rest = self._end, memoryview(data)
        while rest:
            done = self._storage.append(self._file.fileno(), rest, self._end, self._directory / _OLD)
            self._end += done
            rest = rest[done:]
        self.kept.append(Backup(begin=begin, end=self._end))

    def close(self) -> None:
        """Make the file durable. Raises OSError."""
        with self._file:
            self._storage.sync(self._file.fileno(), self._directory / _OLD)
        self._storage.sync_path(self._directory)
        with suppress(OSError):
            self._storage.sync_path(self._directory.parent)


def journals(directory: Path) -> Iterator[tuple[Path, Journal]]:
    """Yield every kept journal with its directory; incomplete ones are removed, because nothing was touched for them."""
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        if journal := Journal.read(path):
            yield path, journal
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def phases(directory: Path) -> Iterator[tuple[RunId, Phase]]:
    """Yield the phase of each run's apply, changing nothing; an undo that is not recorded yet counts as unfinished."""
    for path in directory.iterdir() if directory.is_dir() else ():
        if journal := Journal.read(path):
            yield RunId(path.name[:ID_LENGTH]), Phase.APPLYING if path.name.endswith(UNDO) else journal.phase


def is_old(directory: Path) -> bool:
    """Whether a journal need not be kept any longer. Raises StateError."""
    try:
        return time.time() - (directory / _NAME).stat().st_mtime > KEPT_SECONDS
    except OSError as error:
        raise StateError(f"{directory} cannot be read: {error.strerror}", "check who may read it") from error
