"""What the ignored files hold that come along with a snapshot: the values of their variables that look like secrets are registered."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.git.git import Git, GitError
from ccterm.workspace.repository import Repository
from ccterm.workspace.rooted import Root
from ccterm.workspace.snapshot.listing import INCLUDE_FILE, list_included, list_paths

_LINE = re.compile(r"""^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*[=:]\s*(?:"([^"]*)"|'([^']*)'|([^#\s][^#\n]*))""", re.MULTILINE)
_LARGEST = 1 << 20
_SHORTEST = 8


def variables(repository: Repository, globs: Sequence[str], excludes_file: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of every variable in the files that come along. Raises StepError."""
    try:
        with Root(repository.root) as root:
            for path, text in _texts(repository.git, root, globs, excludes_file):
                yield from _in_json(text) if path.endswith(b".json") else _in_lines(text)
    except (GitError, OSError) as error:
        raise StepError(Cause.CHECKOUT, f"the files to include cannot be read: {error}", reason="snapshot") from error


def _texts(git: Git, root: Root, globs: Sequence[str], excludes_file: str) -> Iterator[tuple[bytes, str]]:
    if not globs and not root.stat(INCLUDE_FILE):
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
    with suppress(ValueError, RecursionError):
        waiting: list[tuple[str, object]] = [("", json.loads(text))]
        while waiting:
            name, value = waiting.pop()
            if isinstance(value, dict):
                waiting += [(str(key), inner) for key, inner in value.items()]
            elif isinstance(value, list):
                waiting += [(name, inner) for inner in value]
            elif isinstance(value, str) and len(value) >= _SHORTEST:
                yield name, value
