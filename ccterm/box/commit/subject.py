"""Finds the subject for a commit: the user's, else that of the agent's own last commit, read as bytes and never by git, else the prompt's."""

import contextlib
import re
import unicodedata
import zlib

from ccterm.git.rooted import Root

LONGEST = 72
_SHA = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(rb"ref: (refs/[^\x00-\x20]+)")
_OBJECT_LIMIT = 1 << 20
_REFS_LIMIT = 16 << 20


def own_commit(root: Root) -> tuple[str, str] | None:
    """Return (sha, subject) of the commit that the agent's HEAD names, or None when that cannot be read plainly."""
    with contextlib.suppress(OSError, zlib.error, ValueError):
        if sha := head_of(root, b".git"):
            return sha.decode(), _subject(_loose(root, sha))
    return None


def head_of(root: Root, git_directory: bytes) -> bytes | None:
    """Return the sha that HEAD of a git directory names. Raises OSError, ValueError."""
    head = root.read(git_directory + b"/HEAD", 4096).strip()
    if match := _REF.fullmatch(head):
        head = _loose_ref(root, git_directory, match[1]) or _packed_ref(root, git_directory, match[1])
    return head if _SHA.fullmatch(head) else None


def tidy(text: str) -> str:
    """Return the first line that says anything, without control characters, cut at a word to what fits a subject."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    line = " ".join("".join(" " if c.isspace() else c for c in line if c.isspace() or not _hidden(c)).split())
    if len(line) <= LONGEST:
        return line
    cut = line[: LONGEST - 1]
    at_word = cut.rpartition(" ")[0]
    return (at_word if len(at_word) >= LONGEST // 2 else cut).rstrip(" ,;:-") + "…"


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn")


def _loose_ref(root: Root, git_directory: bytes, ref: bytes) -> bytes:
    if b".." in ref.split(b"/"):
        raise ValueError("a ref that leaves its directory")
    with contextlib.suppress(OSError):
        return root.read(git_directory + b"/" + ref, 4096).strip()
    return b""


def _packed_ref(root: Root, git_directory: bytes, ref: bytes) -> bytes:
    for line in root.read(git_directory + b"/packed-refs", _REFS_LIMIT).splitlines():
        sha, _, name = line.partition(b" ")
        if name == ref:
            return sha
    return b""


def _loose(root: Root, sha: bytes) -> bytes:
    packed = root.read(b".git/objects/" + sha[:2] + b"/" + sha[2:], _OBJECT_LIMIT)
    kind, _, body = zlib.decompressobj().decompress(packed, _OBJECT_LIMIT).partition(b"\0")
    if not kind.startswith(b"commit "):
        raise ValueError("no commit")
    return body


def _subject(body: bytes) -> str:
    header, _, message = body.partition(b"\n\n")
    named = re.search(rb"^encoding ([A-Za-z0-9._-]{1,40})$", header, re.MULTILINE)
    try:
        return message.decode(named[1].decode() if named else "utf-8", "replace")
    except LookupError:
        return message.decode("utf-8", "replace")
