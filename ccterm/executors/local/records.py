"""Which process belongs to which box, on disk: what a dead owner left running is killed by record, never by guess."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from ccterm.executors.local.copy import remove_tree
from ccterm.executors.local.kill import kill_tree
from ccterm.models import Value
from ccterm.processes import ProcessMark, boot_id


class Record(Value):
    """A box and its process."""

    mark: str
    owner: ProcessMark
    process: ProcessMark | None = None
    mounts: tuple[str, ...] = ()
    """Relative paths of the directories that the box holds."""
    tmp: str | None = None
    """The box's TMPDIR where it lies elsewhere."""

    def write(self, path: Path) -> None:
        """Put it on disk, whole or not at all."""
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(self.model_dump_json(), encoding="utf-8")
        fresh.rename(path)

    @classmethod
    def read(cls, path: Path) -> "Record | None":
        """Return what a file holds, or None when it is no record."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None


def reap(records: Iterable[Path]) -> None:
    """Kill what still runs of boxes whose owner is dead.

    A box's mark is random and in no other process; the process that a record names is only touched when all of it fits.
    """
    for path in records:
        record = Record.read(path)
        if record is None or record.owner.alive:
            continue
        if record.owner.boot == boot_id():
            leader = record.process.pid if record.process and record.process.alive else None
            kill_tree(record.mark, leader)
        if record.tmp:
            remove_tree(Path(record.tmp))
            record.model_copy(update={"tmp": None}).write(path)
