"""The images that were built, on this machine's disk: for each a tarball that any engine can import without a registry, and a record."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from ccterm.errors import PreflightError, StateError
from ccterm.executors.dagger.image_spec import ImageSpec
from ccterm.state_dir import private_directory, write_private
from ccterm.values import Value

_CHUNK = 1024 * 1024


class ImageRecord(Value):
    """One image for boxes."""

    key: str
    name: str
    """Its base, for messages."""
    base_digest: str
    """Digest that identifies its base."""
    claude_version: str
    platform: str
    built: datetime
    tarball: Path
    size: int
    """Bytes."""
    digest: str
    """Sha256 of the tarball."""

    @property
    def usable(self) -> bool:
        """Whether its tarball still has the recorded size."""
        try:
            return self.tarball.stat().st_size == self.size
        except OSError:
            return False


class ImageStore:
    """The records and tarballs in one directory, which several processes may share."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def tarball_path(self, key: str) -> Path:
        """Return the path for an image's tarball, in a directory that exists. Raises StateError."""
        self._directory.parent.mkdir(parents=True, exist_ok=True)
        private_directory(self._directory)
        return self._directory / f"{key}.tar"

    def log(self, key: str) -> Path:
        """Return the directory of the transcript of an image's build."""
        return self._directory / f"{key}.log"

    def get(self, key: str) -> ImageRecord | None:
        """Return the record of an image, or None when there is none or its tarball is gone."""
        record = self._read(self._directory / f"{key}.json")
        return record if record and record.usable else None

    def kept(self, spec: ImageSpec, name: str) -> ImageRecord | None:
        """Return the record of the image that is built from a base. None when there is none, or one for each of several platforms."""
        file = Path(name).expanduser().absolute() if is_tarball(name) else None
        with suppress(OSError):
            mark = stamp(file) if file else ""
            fitting = (record for record in self.all() if record.name == name and record.usable)
            found = [record for record in fitting if record.key == spec.key(name, record.platform, mark)]
            return found[0] if len(found) == 1 else None
        return None

    def put(self, record: ImageRecord) -> None:
        """Record an image. Raises StateError."""
        write_private(self._directory / f"{record.key}.json", record.model_dump_json(indent=1).encode() + b"\n")

    def all(self) -> Iterator[ImageRecord]:
        """Yield every record, oldest first."""
        records = [record for path in self._directory.glob("*.json") if (record := self._read(path))]
        yield from sorted(records, key=lambda record: record.built)

    def remove(self, record: ImageRecord) -> None:
        """Remove an image's record, and its tarball unless it is the user's own."""
        (self._directory / f"{record.key}.json").unlink(missing_ok=True)
        if record.tarball.parent == self._directory:
            record.tarball.unlink(missing_ok=True)

    def _read(self, path: Path) -> ImageRecord | None:
        with suppress(OSError, ValidationError):
            return ImageRecord.model_validate_json(path.read_bytes())
        return None


def is_tarball(base: str) -> bool:
    """Return whether the base of an image is a file on this machine, not a name in a registry."""
    return base.startswith(("/", "./", "../", "~")) or base.endswith((".tar", ".tar.gz", ".tgz"))


def tarball(base: str) -> Path:
    """Return the absolute path of a tarball. Raises PreflightError when it does not exist."""
    path = Path(base).expanduser().absolute()
    if not path.is_file():
        raise PreflightError(f"the image tarball {path} does not exist", "docker save makes one; or name a reference in CCTERM_BASE_IMAGE")
    return path


def file_digest(path: Path) -> str:
    """Return the sha256 of a file of any size. Raises StateError."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}", "check its permissions") from error
    return f"sha256:{digest.hexdigest()}"


def stamp(path: Path) -> str:
    """Return a fingerprint of a file's path, size and time, without reading it."""
    facts = path.stat()
    return json.dumps([str(path), facts.st_size, facts.st_mtime_ns])
