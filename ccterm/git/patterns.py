"""Matches the patterns of .gitignore and .gitattributes within a time limit: git's own matcher may take exponential time for a hostile one.

git matches, in a child with a deadline. Past it nothing is assumed about any path: the question fails, and names the pattern if it can be found.
"""

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from ccterm.git.git import Git, GitError, init
from ccterm.git.names import shown
from ccterm.git.rooted import Root
from ccterm.git.tree import parents

SECONDS = 8.0
"""How long all answers to one caller may take, and for each path a little more: honest patterns take microseconds."""
_SECONDS_A_PATH = 1e-4
_PROBE_SECONDS = 1.0
"""How long one pattern may take before it is the one."""
_MOST_PROBES = 12
_MOST_PATHS = 500
_MOST_SEEN = 50_000
_LARGEST = 1 << 20
_LONGEST_SHOWN = 100
IGNORE, ATTRIBUTES = b".gitignore", b".gitattributes"

Ignored = Callable[[list[bytes]], set[bytes]]


class Pattern(NamedTuple):
    """One pattern. file: where it is written. above: the directory that it is relative to."""

    text: bytes
    file: bytes
    above: bytes = b""


def ignored_by(git: Git, *, rules: str | None = None, seconds: float = SECONDS) -> Ignored:
    """Return a function that tells which of some paths git ignores by the .gitignore files of its work tree.

    rules: a file with more patterns. seconds: for all of its answers together. It raises GitError: with reason "pattern" past that.
    """
    git = git.with_env({"GIT_LITERAL_PATHSPECS": "0"})  # check-ignore does not support them
    more = [*(["-c", f"core.excludesFile={rules}"] if rules else []), *(["-C", git.work_tree] if git.work_tree else [])]
    left = seconds

    def ignored(paths: list[bytes]) -> set[bytes]:
        nonlocal left
        listing = b"".join(b"./%s\0" % path for path in paths)  # "./": a name may begin like a pathspec
        left += len(paths) * _SECONDS_A_PATH
        begin = time.monotonic()
        with _naming(git, IGNORE, paths, seconds):
            found = git.fields(*more, "check-ignore", "--no-index", "-z", "--stdin", stdin=listing, codes=(0, 1), timeout=max(left, 0.01))
        left -= time.monotonic() - begin
        return {name[2:] for name in found}

    return ignored


def attributes_of(
    git: Git, names: Sequence[str], paths: Sequence[bytes], *options: str, seconds: float = SECONDS
) -> Iterator[tuple[bytes, str, bytes]]:
    """Yield path, name and value of attributes. options: of check-attr. Raises GitError: with reason "pattern" after `seconds`."""
    if not paths:
        return
    listing = b"".join(path + b"\0" for path in paths)
    with _naming(git, ATTRIBUTES, paths, seconds):
        limit = seconds + len(paths) * _SECONDS_A_PATH
        fields = iter(git.fields("check-attr", *options, "-z", "--stdin", *names, stdin=listing, timeout=limit))
    yield from ((path, name.decode(), value) for path, name, value in zip(fields, fields, fields, strict=True))


@contextmanager
def _naming(git: Git, kind: bytes, paths: Collection[bytes], seconds: float) -> Iterator[None]:
    """Turn the error of a question that took too long into one that names the pattern."""
    try:
        yield
    except GitError as error:
        if error.reason != "timeout":
            raise
        deepest = sorted(paths, key=len, reverse=True)[:_MOST_PATHS]
        patterns = written_patterns(git.work_tree, kind, deepest) if git.work_tree else []
        raise too_slow(kind, patterns, deepest, seconds) from error


def too_slow(kind: bytes, patterns: Iterable[Pattern], paths: Collection[bytes], seconds: float) -> GitError:
    """Return the error for a question that took longer than `seconds`, which names the pattern and its file if one is found to be slow."""
    with suppress(GitError, OSError):
        if found := _slowest(kind, patterns, paths):
            text = shown(found.text)
            text = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
            return GitError(
                "pattern", f"the pattern {text!r} in {shown(found.file)} takes git longer than {seconds:g} s to match; simplify it"
            )
    return GitError("pattern", f"git took longer than {seconds:g} s to match the patterns of {shown(kind)}")


def written_patterns(tree: str, kind: bytes, paths: Iterable[bytes]) -> list[Pattern]:
    """Return the patterns in the files of one kind that apply to some paths of a tree."""
    directories = sorted({above for path in paths for above in (b"", *parents(path))}, key=len)
    found: list[Pattern] = []
    with Root(tree) as root:
        for above in directories:
            file = above + b"/" + kind if above else kind
            with suppress(OSError):
                found += [Pattern(text, file, above) for line in root.read(file, _LARGEST).split(b"\n") if (text := _pattern(kind, line))]
    return found


def deepest_paths(tree: str) -> list[bytes]:
    """Return some paths of a tree, the longest of those that are seen first. For a tree that is not hostile."""
    found: list[bytes] = []
    top = os.fsencode(tree)
    for above, directories, files in os.walk(top):
        directories[:] = sorted(set(directories) - {b".git"})
        found += [os.path.relpath(os.path.join(above, name), top) for name in files]
        if len(found) > _MOST_SEEN:
            break
    return sorted(found, key=len, reverse=True)[:_MOST_PATHS]


def _pattern(kind: bytes, line: bytes) -> bytes:
    """Return the pattern of a line as one that matches a file, "" when it can match no name in more ways than one."""
    text = line.rstrip(b" \r")
    if kind == ATTRIBUTES:
        text = text.split()[0] if text.split() else b""
    return text.removeprefix(b"!").rstrip(b"/") if b"*" in text and not text.startswith(b"#") else b""


def _slowest(kind: bytes, patterns: Iterable[Pattern], paths: Collection[bytes]) -> Pattern | None:
    """Try patterns one by one, those with most wildcards first."""
    import tempfile  # deferred: it is slow to load, and honest patterns never need it

    place = tempfile.mkdtemp(prefix="pattern-")
    try:
        tree, rules = os.path.join(place, "tree"), os.path.join(place, "rules")
        os.mkdir(tree)
        directory = init(os.path.join(place, "empty.git"), None, "main").directory
        git = Git(directory, work_tree=tree, env={"GIT_LITERAL_PATHSPECS": "0"})
        for pattern in sorted(set(patterns), key=lambda each: each.text.count(b"*"), reverse=True)[:_MOST_PROBES]:
            inside = [path[len(pattern.above) + 1 :] if pattern.above else path for path in paths if path.startswith(pattern.above)]
            with open(rules, "wb") as file:
                file.write(pattern.text + (b" probe\n" if kind == ATTRIBUTES else b"\n"))
            if _is_slow(git, kind, rules, inside):
                return pattern
        return None
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _is_slow(git: Git, kind: bytes, rules: str, paths: Iterable[bytes]) -> bool:
    listing = b"".join(b"./%s\0" % path if kind == IGNORE else path + b"\0" for path in paths)
    question = ["-c", f"core.excludesFile={rules}", "check-ignore", "--no-index", "-z", "--stdin"]
    if kind == ATTRIBUTES:
        question = ["-c", f"core.attributesFile={rules}", "check-attr", "-z", "--stdin", "probe"]
    try:
        git.answer(*question, stdin=listing, timeout=_PROBE_SECONDS)
    except GitError as error:
        return error.reason == "timeout"
    return False
