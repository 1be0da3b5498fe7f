"""The audit log: one line for each request that would change something, and what came of it; of those without a token one a second."""

import json
import os
from collections.abc import Sequence
from logging import INFO, Formatter, LogRecord, NullHandler
from logging.handlers import RotatingFileHandler
from pathlib import Path

from ccterm.models import now
from ccterm.output.own_text import clean_text
from ccterm.state_dir import private_file

_CAP = 8 * 1024 * 1024
_KEPT = 4
"""How many full files are kept beside the current one."""


class AuditLog:
    """Appends to a private file of JSON lines. path: None = to none."""

    def __init__(self, path: Path | None) -> None:
        self._handler: NullHandler | RotatingFileHandler = NullHandler()
        if path:
            os.close(private_file(path))
            self._handler = _PrivateRotation(path, maxBytes=_CAP, backupCount=_KEPT, encoding="utf-8")
            self._handler.setFormatter(Formatter("%(message)s"))

    def note(self, caller: str, method: str, route: str, status: int, runs: Sequence[str] = ()) -> None:
        """Write down one request. status: of its response; 0 = the caller went away. runs: what it concerned or started."""
        facts = {
            "at": now().isoformat(),
            "caller": caller,
            "method": method[:16],
            "route": clean_text(route[:200]),
            "status": status,
            "runs": list(runs),
        }
        line = json.dumps(facts, ensure_ascii=False)
        self._handler.handle(LogRecord("audit", INFO, "", 0, line, None, None))

    def close(self) -> None:
        """Close the file."""
        self._handler.close()


class _PrivateRotation(RotatingFileHandler):
    def doRollover(self) -> None:  # noqa: N802 - the library's name
        """Begin a new file, which only this user can read."""
        super().doRollover()
        Path(self.baseFilename).chmod(0o600)
