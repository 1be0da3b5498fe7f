"""Which paths a snapshot takes: what git tracks and does not ignore, plus the ignored files that the user asked for by name.

The values that such ignored files assign to variables are registered as secrets.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.git.bounded_json import read_json
from ccterm.git.git import Git, GitError
from ccterm.git.patterns import IGNORE, Pattern, deepest_paths, too_slow, written_patterns
from ccterm.git.rooted import Root
from ccterm.git.tree import GITLINK
from ccterm.workspace.repository import Repository

_GITLINK = b"%o" % GITLINK
LISTING_SECONDS = 60.0
"""How long git may take to list what it does not track: the patterns that it matches are the repository's."""


@dataclass
class Listing:
    """Paths, sorted. fresh: those that git does not track. submodules: path -> commit. nested: directories that are repositories of their own."""

    paths: list[bytes]
    fresh: frozenset[bytes] = frozenset()
    submodules: dict[bytes, str] = field(default_factory=dict)
    nested: list[bytes] = field(default_factory=list)

    def leave_out(self, root: Path, directory: Path) -> None:
        """Leave out everything below a directory: ccterm's own files, if they are inside the working copy."""
        if directory.is_relative_to(root):
            inside = os.fsencode(directory.relative_to(root)) + b"/"
            self.paths = [path for path in self.paths if not path.startswith(inside)]


def list_paths(git: Git, excludes_file: str, seconds: float = LISTING_SECONDS) -> Listing:
    """Ask git for the paths of a snapshot. Raises GitError: with reason "pattern" past `seconds`."""
    tracked: dict[bytes, str] = {}
    submodules: dict[bytes, str] = {}
    for line in git.fields("ls-files", "--stage", "-z"):
        about, _, path = line.partition(b"\t")
        mode, sha, _ = about.split(b" ")
        (submodules if mode == _GITLINK else tracked)[path] = sha.decode()
    others = _others(git, ["--exclude-standard"], seconds, [], f"core.excludesFile={excludes_file}")
    nested = [path.rstrip(b"/") for path in others if path.endswith(b"/")]
    fresh = [path for path in others if not path.endswith(b"/")]
    return Listing(sorted({*tracked, *fresh}), frozenset(fresh), submodules, nested)


def list_included(git: Git, globs: Sequence[str], listing: Listing, seconds: float = LISTING_SECONDS) -> list[bytes]:
    """Return the ignored files that patterns of a .gitignore match. Raises GitError: with reason "pattern" past `seconds`."""
    if not globs:
        return []
    taken = set(listing.paths)
    given = [Pattern(glob.encode(), b"include") for glob in globs]
    found = _others(git, ["--ignored", *(f"--exclude={glob}" for glob in globs)], seconds, given)
    return sorted(path for path in found if path not in taken and not path.endswith(b"/"))


def _others(git: Git, rules: Sequence[str], seconds: float, given: Sequence[Pattern], *settings: str) -> list[bytes]:
    """List what git does not track. given: the patterns among the rules; without, they are those of the working copy."""
    options = [word for setting in settings for word in ("-c", setting)]
    try:
        return git.fields(*options, "ls-files", "--others", "-z", *rules, timeout=seconds)
    except GitError as error:
        if error.reason != "timeout" or git.work_tree is None:
            raise
        deepest = deepest_paths(git.work_tree)
        raise too_slow(IGNORE, given or written_patterns(git.work_tree, IGNORE, deepest), deepest, seconds) from error


_LINE = re.compile(r"""^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*[=:]\s*(?:"([^"]*)"|'([^']*)'|([^#\s][^#\n]*))""", re.MULTILINE)
_LARGEST = 1 << 20
_SHORTEST = 8


def included_variables(repository: Repository, globs: Sequence[str], excludes_file: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of every variable in the ignored files that a snapshot includes. Raises StepError."""
    try:
        with Root(repository.root) as root:
            for path, text in _texts(repository.git, root, globs, excludes_file):
                yield from _in_json(text) if path.endswith(b".json") else _in_lines(text)
    except (GitError, OSError) as error:
        raise StepError(Cause.CHECKOUT, f"the files to include cannot be read: {error}", reason="snapshot") from error


def _texts(git: Git, root: Root, globs: Sequence[str], excludes_file: str) -> Iterator[tuple[bytes, str]]:
    if not globs:
        return
    for path in list_included(git, globs, list_paths(git, excludes_file)):
        with os.fdopen(root.open(path), "rb") as file:
            yield path, file.read(_LARGEST).decode("utf-8", "replace")


def _in_lines(text: str) -> Iterator[tuple[str, str]]:
    for match in _LINE.finditer(text):
        value = next(group for group in match.groups()[1:] if group is not None).strip()
        if len(value) >= _SHORTEST:
            yield match[1], value


def _in_json(text: str) -> Iterator[tuple[str, str]]:
    with suppress(ValueError):
        waiting: list[tuple[str, object]] = [("", read_json(text))]
        while waiting:
            name, value = waiting.pop()
            if isinstance(value, dict):
                waiting += [(str(key), inner) for key, inner in value.items()]
            elif isinstance(value, list):
                waiting += [(name, inner) for inner in value]
            elif isinstance(value, str) and len(value) >= _SHORTEST:
                yield name, value
