"""Records on disk of which process belongs to which box, so that processes left by a dead daemon are killed by record, never by guess."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from ccterm.executors.local.copy import remove_tree
from ccterm.executors.local.kill import kill_tree
from ccterm.processes import ProcessMark, boot_id
from ccterm.storage import STORAGE, Storage
from ccterm.values import Value


class BoxRecord(Value):
    """A box and its process."""

    mark: str
    owner: ProcessMark
    """The daemon, or whichever process runs the step."""
    process: ProcessMark | None = None
    mounts: tuple[str, ...] = ()
    """Relative paths of the directories in the box."""
    tmp: str | None = None
    """The box's TMPDIR when it lies outside the box."""

    def write(self, path: Path, storage: Storage = STORAGE) -> None:
        """Write it atomically. Raises OSError."""
        storage.bulk(path, lambda: self._write(path))

    def _write(self, path: Path) -> None:
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(self.model_dump_json(), encoding="utf-8")
        fresh.rename(path)

    @classmethod
    def read(cls, path: Path) -> "BoxRecord | None":
        """Return the record in a file, or None when there is none."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None


def reap(records: Iterable[Path]) -> None:
    """Kill the processes of boxes whose daemon is dead, and remove their TMPDIRs.

    A mark is random and unique to a box. A recorded process is only killed when pid, start time and boot all match.
    """
    for path in records:
        record = BoxRecord.read(path)
        if record is None or record.owner.alive:
            continue
        if record.owner.boot == boot_id():
            leader = record.process.pid if record.process and record.process.alive else None
            kill_tree(record.mark, leader)
        if record.tmp:
            remove_tree(Path(record.tmp))
            record.model_copy(update={"tmp": None}).write(path)
