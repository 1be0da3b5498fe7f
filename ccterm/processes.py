"""Names a process so that it is never taken for another one that got the same number later."""

import sys
from pathlib import Path
from typing import Self

from ccterm.models import Value


class ProcessMark(Value):
    """A process for all time: its number, when it started, and in which boot of the machine."""

    pid: int
    started: str
    """As the system says it; only compared."""
    boot: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Return the mark of a living process, or None when there is none of that number."""
        started = _started(pid)
        return None if started is None else cls(pid=pid, started=started, boot=boot_id())

    @property
    def alive(self) -> bool:
        """Whether this very process is still there; one that has ended and was not waited for is not."""
        return self.boot == boot_id() and self.started == _started(self.pid)


def boot_id() -> str:
    """Return what is the same until the machine starts again; empty where a start time is a time of day, which never comes again."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip() if sys.platform == "linux" else ""


def _started(pid: int) -> str | None:
    return _started_linux(pid) if sys.platform == "linux" else _started_elsewhere(pid)


def _started_linux(pid: int) -> str | None:
    """Read clock ticks since boot: unlike a time of day they never shift."""
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    state, *rest = line[line.rindex(b")") + 2 :].split()  # the name in front may hold spaces and brackets
    return None if state in b"ZX" else rest[18].decode()


def _started_elsewhere(pid: int) -> str | None:
    import psutil  # deferred: costs start-up time

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.Error:
        return None
