"""What a branch may be called: rules stricter than `git check-ref-format`, which accepts options and forced or deleting refspecs."""

import re

from ccterm.errors import BranchError

_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,99}")
_BASE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+#=@-]{0,199}")
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
    if len(name) > 100:
        return "is longer than 100 characters", "choose a shorter one"
    if not _BRANCH.fullmatch(name):
        return (
            "contains a character that is not allowed, or begins with one",
            "use letters, digits, _ - . and /, and begin with a letter, a digit or _",
        )
    if name.upper() == "HEAD" or name.startswith("refs/"):
        return "has a meaning of its own in git", "give the plain name of the branch"
    if _SHA.fullmatch(name):
        return "looks like a commit id", "choose a name with a word in it"
    return _wrong_parts(name)


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
    if not _BASE.fullmatch(name) or ".." in name or "@{" in name or "" in parts or name == "@":
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
