"""Makes an agent's text safe to store and to display: removes what would drive a terminal and what nobody can see.

Removed as a whole: ECMA-48 sequences in their 7-bit and 8-bit forms, truncated ones too. Removed: every other control character but
line feed and tab, bidi controls, everything that Unicode calls default-ignorable (zero-width, tags, variation selectors), interlinear
annotation. Turned into line feeds: CR LF, a lone CR (each state of a progress bar becomes a line of its own), U+2028 and U+2029. Half a
surrogate pair becomes U+FFFD.
"""

import re
from collections import deque

from ccterm.git.names import IGNORABLE

LIMIT = 4096
"""Longest body of an escape sequence, in characters. The rest counts as text, so that an unterminated sequence hides little."""

_SEVERAL = r"\u2028\u2029\ud800-\udfff"
_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_CSI = rf"[\x00-\x08\x0b\x0c\x0e-\x17\x19\x1c-?\x7f]{{0,{LIMIT}}}"  # terminals execute a control inside a sequence, then continue it
_STRING = (
    rf"[^\x07\n\r\x18\x1a\x1b\x9c]{{0,{LIMIT}}}"  # OSC, DCS, SOS, PM, APC; a line break ends it, so a truncated one costs at most a line
)
_SHORT = rf"[ -/]{{0,{LIMIT}}}"

_SUSPICIOUS = re.compile(f"[\r{_CONTROLS}{IGNORABLE}{_SEVERAL}]")
# One plain set of characters comes first: that keeps the search fast.
_REMOVED = re.compile(
    f"[{_CONTROLS}{IGNORABLE}]"
    rf"(?:(?<=\x1b)(?:\[{_CSI}[@-~]?|[\]PX^_]{_STRING}[\x07\x18\x1a\x9c]?|{_SHORT}[0-~]?)"
    rf"|(?<=\x9b){_CSI}[@-~]?"
    rf"|(?<=[\x90\x98\x9d-\x9f]){_STRING}[\x07\x18\x1a\x9c]?)?"
)
_UNFINISHED = re.compile(rf"\x1b(?:\[{_CSI}|[\]PX^_]{_STRING}|{_SHORT})|\x9b{_CSI}|[\x90\x98\x9d-\x9f]{_STRING}")
_RETURNS = re.compile("\r+\n?")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def sanitise(text: str) -> str:
    """Return a text without anything that drives a terminal or cannot be seen; the same object if there was no such thing."""
    return _settled(_REMOVED.sub("", text)) if suspicious(text) else text


def suspicious(text: str) -> bool:
    """Whether `sanitise` would change a text."""
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():  # four times as fast as the search
        return False
    return _SUSPICIOUS.search(text) is not None


class SanitiseStream:
    """Sanitises a text that arrives in pieces: its results, joined, equal what `sanitise` makes of the whole text.

    Holds back an unfinished escape sequence (at most LIMIT characters) and a carriage return at the end.
    """

    def __init__(self) -> None:
        self._held = ""
        self._returned = False

    def feed(self, text: str) -> str:
        """Take the next piece; return what is final."""
        text = self._held + text
        if not self._returned and not suspicious(text):
            return text  # then nothing was held back either
        cut = _final_length(text)
        self._held = text[cut:]
        return self._follow(_REMOVED.sub("", text[:cut]))

    def flush(self) -> str:
        """Return the rest: the text has ended."""
        rest = self._follow(_REMOVED.sub("", self._held)) + ("\n" if self._returned else "")
        self._held, self._returned = "", False
        return rest

    def _follow(self, text: str) -> str:
        if self._returned:
            text = "\r" + text
        self._returned = text.endswith("\r")
        return _settled(text.rstrip("\r"))


def _final_length(text: str) -> int:
    """Return how much of a text keeps its meaning whatever follows."""
    last = deque(_REMOVED.finditer(text), maxlen=1)
    if last and last[0].end() == len(text) and _UNFINISHED.fullmatch(last[0].group()):
        return last[0].start()
    return len(text)


def _settled(text: str) -> str:
    """Return a text without sequences with plain line breaks and whole characters."""
    if "\r" in text:
        text = _RETURNS.sub("\n", text)
    if text.isascii():
        return text
    return _SURROGATES.sub("\ufffd", text.replace("\u2028", "\n").replace("\u2029", "\n"))
