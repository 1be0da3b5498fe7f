"""Sanitises, then masks, texts and JSON values: in this order, because an escape sequence inside a token must not hide it.

If masking ever fails, the text is withheld, not let through. Hence a third `except Exception` beside the two that the style guide
allows: a defect in here may cost a line, never leak a secret.
"""

import json
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from ccterm.output.decode import parse_object
from ccterm.output.mask import Masker, MaskStream
from ccterm.output.sanitise import SanitiseStream, sanitise, suspicious

WITHHELD = "[line withheld]"
TOO_DEEP = "[too deep]"
DEPTH = 100
"""Deepest nesting of a JSON value that is kept."""
_ESCAPE = re.compile(r"\\[^\"nt]")
_log = logging.getLogger(__name__)


class Cleaner:
    """Cleans the texts and JSON values of one run, and remembers which registered secrets it masked."""

    def __init__(self, masker: Masker) -> None:
        self.masker = masker
        """May be replaced by one that knows more; texts in pieces that have begun go on with the old one."""
        self.names: frozenset[str] = frozenset()
        """The registered secrets that were masked so far."""

    def text(self, text: str) -> str:
        """Return a text sanitised and masked; the same object if it was clean."""
        return guarded(lambda: self._cleaned(text))

    def value(self, value: JsonValue, raw: str = "") -> JsonValue:
        """Return a JSON value with every string and key cleaned; anything nested too deeply is replaced.

        raw: the line that the value was parsed from, if any: when the line itself is clean, the value need not be walked.
        """
        if raw and guarded(lambda: self._clean_throughout(raw)) is raw:
            return value
        return self._walked(value, 0)

    def stream(self) -> "CleanStream":
        """Return a cleaner for one text that arrives in pieces."""
        return CleanStream(self.masker.stream(), self.record)

    def record(self, names: frozenset[str]) -> None:
        """Remember that these secrets were masked."""
        self.names |= names

    def _cleaned(self, text: str) -> str:
        text, names = self.masker.masked(sanitise(text))
        if names:
            self.record(names)
        return text

    def _clean_throughout(self, raw: str) -> str:
        """Return the line itself if no string in it can need cleaning: without unusual escapes, parsing changes no character."""
        odd = suspicious(raw) or _ESCAPE.search(raw) or raw.count("{") + raw.count("[") > DEPTH
        return "" if odd else self.masker.mask(raw)

    def _walked(self, value: JsonValue, depth: int) -> JsonValue:
        match value:
            case str():
                return self.text(value)
            case dict() | list() if depth >= DEPTH:
                return TOO_DEEP
            case dict():
                return {self.text(key): self._walked(child, depth + 1) for key, child in value.items()}
            case list():
                return [self._walked(child, depth + 1) for child in value]
            case bool() | None:
                return value
        return self._number(value)

    def _number(self, value: float) -> JsonValue:
        """Return a number, or a masked text when its digits contain a secret."""
        digits = repr(value)
        cleaned = self.text(digits)
        return value if cleaned == digits else cleaned


class CleanStream:
    """Cleans a text that arrives in pieces: its results, joined, equal what the cleaner makes of the whole text."""

    def __init__(self, masking: MaskStream, record: Callable[[frozenset[str]], None]) -> None:
        self._sanitising, self._masking, self._record = SanitiseStream(), masking, record
        self._broken = False

    def feed(self, text: str) -> str:
        """Take the next piece; return what is final."""
        return self._next(lambda: self._masking.feed(self._sanitising.feed(text)))

    def flush(self) -> str:
        """Return the rest: the text has ended."""
        return self._next(lambda: self._masking.feed(self._sanitising.flush()) + self._masking.flush())

    def _next(self, clean: Callable[[], str]) -> str:
        if self._broken:
            return ""
        text = guarded(clean)
        self._broken = text is WITHHELD
        self._record(self._masking.names)
        return text


def guarded(clean: Callable[[], str]) -> str:
    """Return what `clean` returns, or WITHHELD if it fails for any reason."""
    try:
        return clean()
    except Exception as error:  # noqa: BLE001 - see the top of this module
        _log.error("a text was withheld: %s", type(error).__name__)
        return WITHHELD


def copy_cleaned(cleaner: Cleaner, source: int, to: Path) -> None:
    """Copy a JSON Lines file, cleaned, to a new private file. source: its descriptor, which is closed. Raises OSError."""
    with os.fdopen(source, encoding="utf-8", errors="replace", newline="\n") as lines:
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            for line in lines:
                out.write(clean_line(cleaner, line.rstrip("\n")) + "\n")


def clean_line(cleaner: Cleaner, line: str) -> str:
    """Return a line of a JSON Lines file, cleaned."""
    value = parse_object(line)
    return cleaner.text(line) if value is None else json.dumps(cleaner.value(value, line), ensure_ascii=False, separators=(",", ":"))
