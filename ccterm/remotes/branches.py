"""What a branch may be called: rules stricter than `git check-ref-format`, which accepts options and forced or deleting refspecs."""

import re
import unicodedata

from ccterm.errors import BranchError

_LONGEST = 244
"""Bytes; with `refs/heads/` in front these are the 255 that hosts allow."""
_FIRST = "_@#=,"
_INNER = _FIRST + "+-./"
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Letters and marks to Unicode that nobody sees."""
_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?", re.IGNORECASE)


def check_branch(name: str) -> str:
    """Return the branch name, or raise BranchError with the one thing that is wrong with it."""
    wrong = _wrong_with(name)
    if wrong:
        raise BranchError(f"the branch name {_quoted(name)} {wrong[0]}", wrong[1])
    return name


def _wrong_with(name: str) -> tuple[str, str] | None:
    if not name:
        return "is empty", "give one such as feature/login"
    if _too_long(name):
        return f"is longer than {_LONGEST} bytes", "choose a shorter one"
    if not _plain(name):
        return (
            "contains a character that is not allowed, or begins with one",
            "use letters, digits and _ - . / @ # + = , and do not begin with + - . or /",
        )
    if name.upper() in ("HEAD", "@") or name.startswith("refs/"):
        return "has a meaning of its own in git", "give the plain name of the branch"
    if _SHA.fullmatch(name):
        return "looks like a commit id", "choose a name with a word in it"
    return _wrong_parts(name)


def _too_long(name: str) -> bool:
    return len(name.encode("utf-8", "surrogatepass")) > _LONGEST


def _plain(name: str) -> bool:
    """Whether a name has only letters and digits of any script and the few other characters that mean nothing to git or a shell."""
    return (
        not _UNSEEN.search(name)
        and all(char in _INNER or unicodedata.category(char)[0] in "LMN" for char in name)
        and (name[:1] in _FIRST or unicodedata.category(name[0])[0] in "LN")
    )


def _wrong_parts(name: str) -> tuple[str, str] | None:
    if ".." in name:
        return "contains ..", "git reads that as a range; use a single dot"
    parts = name.split("/")
    if "" in parts:
        return "ends with / or contains //", "put something between and after the slashes"
    if any(part.startswith(".") or part.endswith(".") for part in parts):
        return "has a part that begins or ends with a dot", "remove that dot"
    if any(part.lower().endswith(".lock") for part in parts):
        return "has a part that ends with .lock", "git reserves that ending; choose another"
    return None


def check_base(name: str) -> str:
    """Return the name of what a new branch starts from: a branch, a tag or a commit id. Raises BranchError."""
    parts = name.split("/")
    if not name or _too_long(name) or not _plain(name) or ".." in name or "" in parts or name == "@":
        raise BranchError(
            f"the base {_quoted(name)} is not the name of a branch, tag or commit", "give one such as main, v1.2 or a commit id"
        )
    if any(part.startswith(".") or part.endswith((".", ".lock")) for part in parts):
        raise BranchError(
            f"the base {_quoted(name)} is not the name of a branch, tag or commit", "a part of it begins or ends with a dot, or with .lock"
        )
    return name


def _quoted(name: str) -> str:
    clean = "".join(char if char.isprintable() else "�" for char in name[:60])
    return f'"{clean}…"' if len(name) > 60 else f'"{clean}"'
