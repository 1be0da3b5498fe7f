"""ccterm's own log: JSON lines in the state directory, never on the screen."""

import json
import logging
import os
from pathlib import Path

from ccterm.errors import StateError
from ccterm.state_dir import private_file

CAP = 4 * 1024 * 1024
"""A log that is longer is begun anew; one old one is kept."""


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line of JSON."""
        facts = {"at": self.formatTime(record), "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=False)


def log_to(directory: Path) -> None:
    """Write warnings and worse to `directory`/ccterm.log from now on; without a directory to write to they are dropped."""
    root = logging.getLogger()
    root.handlers[:] = [logging.NullHandler()]
    root.setLevel(logging.WARNING)
    if not directory.is_dir():
        return
    from logging.handlers import RotatingFileHandler

    try:
        os.close(private_file(directory / "ccterm.log"))
        handler = RotatingFileHandler(directory / "ccterm.log", maxBytes=CAP, backupCount=1, encoding="utf-8", delay=True)
    except (OSError, StateError):
        return
    handler.setFormatter(_Lines())
    root.handlers[:] = [handler]
