"""Files of an agent come to the host through the same door as its output: every line cleaned, none kept raw."""

import json
import os
from pathlib import Path

from ccterm.output.clean import Cleaner
from ccterm.output.decode import parse_object


def copy_cleaned(cleaner: Cleaner, source: Path, to: Path) -> None:
    """Copy a JSON Lines file, cleaned, to a new private file. Raises OSError."""
    descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with source.open(encoding="utf-8", errors="replace", newline="\n") as lines, os.fdopen(descriptor, "w", encoding="utf-8") as out:
        for line in lines:
            out.write(_cleaned(cleaner, line.rstrip("\n")) + "\n")


def _cleaned(cleaner: Cleaner, line: str) -> str:
    value = parse_object(line)
    return cleaner.text(line) if value is None else json.dumps(cleaner.value(value, line), ensure_ascii=False, separators=(",", ":"))
