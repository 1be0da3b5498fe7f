"""Text that is safe and has the same width on every terminal: the one place that decides what may be painted, and how many cells it takes.

Transcripts are sanitised already; this is the last line of defence, for text that reached a pane another way. Removed or replaced:
everything that `sanitise` removes, and what terminals disagree on: skin tones, flags, keycaps, lone jamo, piled combining marks, private
and unassigned characters.
"""

import re
import unicodedata

from rich.cells import cell_len, get_character_cell_size

from ccterm.output.sanitise import sanitise

TAB = 8
_UNKNOWN = "\ufffd"
_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20dc\u20e1\u20e5-\u20f0\ufe20-\ufe2d"
_PILED = re.compile(f"([{_MARKS}])[{_MARKS}]+")
_DROPPED = re.compile("[\U0001f3fb-\U0001f3ff\u20dd-\u20e0\u20e2-\u20e4]")
_LONE_JAMO = re.compile("[\u1160-\u11ff\ud7b0-\ud7ff]")
_FLAGS = {0x1F1E6 + n: chr(ord("A") + n) for n in range(26)}


def safe(text: str) -> str:
    """Return a text for one row: printable characters of a known width only; the same object if it was safe."""
    if text.isascii() and text.isprintable():
        return text
    text = sanitise(text).replace("\n", " ").expandtabs(TAB)
    return text if text.isascii() else _settled(text)


def _settled(text: str) -> str:
    text = _DROPPED.sub("", unicodedata.normalize("NFC", text)).translate(_FLAGS)
    text = _PILED.sub(r"\1", _LONE_JAMO.sub(_UNKNOWN, text))
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    space = unicodedata.category(character) == "Zs"
    return " " * max(1, get_character_cell_size(character)) if space else _UNKNOWN


def safe_lines(text: str) -> list[str]:
    """Return the lines of a text, each safe for a row; empty ones at its ends are dropped."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text.strip("\n").split("\n")
    return [safe(line) for line in sanitise(text).strip("\n").split("\n")]


def cells(text: str) -> int:
    """Return how many cells a safe text takes."""
    return len(text) if text.isascii() else cell_len(text)


def reach(text: str, begin: int, room: int) -> int:
    """Return the index after the last character, from `begin` on, that fits into `room` cells. Combining marks stay with their base."""
    if text.isascii():
        return min(len(text), begin + room)
    for index in range(begin, len(text)):
        room -= get_character_cell_size(text[index])
        if room < 0:
            return index
    return len(text)


def shorten(text: str, room: int) -> str:
    """Return a safe text cut to `room` cells, ending in … if something was cut."""
    if cells(text) <= room:
        return text
    return text[: reach(text, 0, room - 1)] + "…" if room > 0 else ""
