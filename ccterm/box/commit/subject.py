"""Finds the subject for a commit: the user's, else that of the agent's own last commit, read as bytes and never by git, else the prompt's."""

import contextlib
import re
import unicodedata
import zlib

from ccterm.git.objects import read_loose
from ccterm.git.refs import read_head
from ccterm.git.rooted import Root

LONGEST = 72
_OBJECT_LIMIT = 1 << 20


def own_commit(root: Root) -> tuple[str, str] | None:
    """Return (sha, message) of the commit that the agent's HEAD names, or None when it cannot be read as a loose object."""
    with contextlib.suppress(OSError, zlib.error, ValueError):
        if sha := read_head(root, b".git"):
            kind, body = read_loose(root, b".git", sha, _OBJECT_LIMIT)
            return (sha, _message(body)) if kind == "commit" else None
    return None


def tidy(text: str, longest: int = LONGEST) -> str:
    """Return the first line that is not blank, without control characters, cut between words to so many."""
    line = next((line for line in text.split("\n") if line.strip()), "")
    line = " ".join("".join(" " if c.isspace() else c for c in line if c.isspace() or not _hidden(c)).split())
    if len(line) <= longest:
        return line
    cut = line[: longest - 1]
    at_word = cut.rpartition(" ")[0]
    return (at_word if len(at_word) >= longest // 2 else cut).rstrip(" ,;:-") + "…"


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn")


def _message(body: bytes) -> str:
    header, _, message = body.partition(b"\n\n")
    named = re.search(rb"^encoding ([A-Za-z0-9._-]{1,40})$", header, re.MULTILINE)
    try:
        return message.decode(named[1].decode() if named else "utf-8", "replace")
    except LookupError:
        return message.decode("utf-8", "replace")
