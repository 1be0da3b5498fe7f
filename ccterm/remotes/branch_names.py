"""Names for branches, made from what the tasks say: one way for the form, the command line and batch files."""

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from itertools import count

EACH = "…"
"""In a branch name: replaced by words of the task."""
TYPED = "..."
"""How EACH may be typed; git allows no name that contains it."""
SUGGESTED = f"agent/{EACH}"
"""The branch of a task for which nobody chose one."""
_WORDS, _LENGTH = 5, 36
"""How many words of a task make its name, and of how many characters at most."""
_STOP = frozenset(
    ("a", "an", "and", "as", "at", "be", "by", "for", "from", "in", "into", "is", "it", "of", "on", "or", "the", "to", "with")
)
"""Words that are left out."""
_WORD = re.compile(r"[A-Za-z0-9]+")
_SYLLABLE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


def words_of(prompt: str) -> str:
    """Return the first significant words of a task as a part of a branch name, written in ASCII; "" when it has none."""
    words = _words(prompt.strip().partition("\n")[0])
    found = ""
    for word in ([word for word in words if word not in _STOP] or words)[:_WORDS]:
        longer = f"{found}-{word}" if found else word
        if len(longer) > _LENGTH:
            break
        found = longer
    return found or "".join(words[:1])[:_LENGTH]


def _words(line: str) -> list[str]:
    """Return the words of a line in lower case, in ASCII; a script without capitals has none that could be told apart, only syllables."""
    found: list[str] = []
    letters = (char if unicodedata.category(char)[0] in "LMN" else " " for char in unicodedata.normalize("NFC", line))
    for part in "".join(letters).split():
        if part.isascii():
            found += re.findall(r"[a-z0-9]+", part.lower())
            continue
        from anyascii import anyascii  # deferred: most tasks need no transliteration

        has_capitals = all(letter.lower() != letter.upper() for letter in part if letter.isalpha())
        found += [word.lower() for word in (_WORD if has_capitals else _SYLLABLE).findall(anyascii(part))]
    return found


def branch_for(pattern: str, prompt: str, today: date, is_taken: Callable[[str], bool]) -> tuple[str, str]:
    """Return a branch name that is free, and the one that was wanted but taken, "" for none.

    pattern: a name with EACH in it. A task without words that can be written in ASCII is named after the day and numbered.
    """
    if words := words_of(prompt):
        wanted = pattern.replace(EACH, words)
        if not is_taken(wanted):
            return wanted, ""
    else:
        words, wanted = today.isoformat(), ""
    return next(name for number in count(2 if wanted else 1) if not is_taken(name := pattern.replace(EACH, f"{words}-{number}"))), wanted
