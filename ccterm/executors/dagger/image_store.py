"""The images that were made, on this machine's disk: each a tarball that any engine can take in without a registry, and its record."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from ccterm.errors import PreflightError, StateError
from ccterm.models import Value
from ccterm.state_dir import private_directory, write_private

_CHUNK = 1024 * 1024


class ImageRecord(Value):
    """One image that boxes are made of."""

    key: str
    name: str
    """What it was made from, for people."""
    base_digest: str
    """What identifies what it was made from."""
    claude_version: str
    platform: str
    built: datetime
    tarball: Path
    size: int
    """Bytes."""
    digest: str
    """sha256 of the tarball."""

    @property
    def usable(self) -> bool:
        """Whether its tarball is still the one that was recorded."""
        try:
            return self.tarball.stat().st_size == self.size
        except OSError:
            return False


class ImageStore:
    """The records and tarballs in one directory, which several processes may use."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def place(self, key: str) -> Path:
        """Return where the tarball of an image goes; its directory is there. Raises StateError."""
        self._directory.parent.mkdir(parents=True, exist_ok=True)
        private_directory(self._directory)
        return self._directory / f"{key}.tar"

    def log(self, key: str) -> Path:
        """Return the directory of the transcript of an image's making."""
        return self._directory / f"{key}.log"

    def get(self, key: str) -> ImageRecord | None:
        """Return the record of an image, or None when it is not there or its tarball is gone."""
        record = self._read(self._directory / f"{key}.json")
        return record if record and record.usable else None

    def put(self, record: ImageRecord) -> None:
        """Record an image. Raises StateError."""
        write_private(self._directory / f"{record.key}.json", record.model_dump_json(indent=1).encode() + b"\n")

    def all(self) -> Iterator[ImageRecord]:
        """Yield every record, oldest first."""
        records = [record for path in self._directory.glob("*.json") if (record := self._read(path))]
        yield from sorted(records, key=lambda record: record.built)

    def remove(self, record: ImageRecord) -> None:
        """Remove an image's record, and its tarball where it is ours."""
        (self._directory / f"{record.key}.json").unlink(missing_ok=True)
        if record.tarball.parent == self._directory:
            record.tarball.unlink(missing_ok=True)

    def _read(self, path: Path) -> ImageRecord | None:
        with suppress(OSError, ValidationError):
            return ImageRecord.model_validate_json(path.read_bytes())
        return None


def is_tarball(base: str) -> bool:
    """Return whether the base of an image is a file of this machine rather than a name that a registry knows."""
    return base.startswith(("/", "./", "../", "~")) or base.endswith((".tar", ".tar.gz", ".tgz"))


def tarball(base: str) -> Path:
    """Return the tarball that a base names, absolute. Raises PreflightError when it is not there."""
    path = Path(base).expanduser().absolute()
    if not path.is_file():
        raise PreflightError(f"the image tarball {path} is not there", "docker save makes one; or name a reference in CCTERM_BASE_IMAGE")
    return path


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, of any size. Raises StateError."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}", "check its permissions") from error
    return f"sha256:{digest.hexdigest()}"


def stamp(path: Path) -> str:
    """Return what changes when a file does, without reading it."""
    facts = path.stat()
    return json.dumps([str(path), facts.st_size, facts.st_mtime_ns])
