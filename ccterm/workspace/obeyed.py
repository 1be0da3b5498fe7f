"""What git obeys in a working copy because its configuration says so: hooks, included files, filters and drivers inside the tree.

A script that such a file calls in turn is not known here: nobody can tell that without running it.
"""

import os
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from ccterm.git.names import folded
from ccterm.git.tree import parents
from ccterm.workspace.origin import ask
from ccterm.workspace.repository import Repository

_PATHS = re.compile(r"core\.(hookspath|attributesfile|excludesfile)|include(if\..*)?\.path|init\.templatedir|gpg\.ssh\.allowedsignersfile")
_COMMANDS = re.compile(
    r"core\.(fsmonitor|editor|pager|sshcommand|askpass|gitproxy|alternaterefscommand)|sequence\.editor|pager\..*|alias\..*|diff\.external"
    r"|diff\..*\.(command|textconv)|filter\..*\.(clean|smudge|process)|merge\..*\.driver|(diff|merge)tool\..*\.(cmd|path)|credential\.(.*\.)?helper"
    r"|gpg\.(.*\.)?program|gpg\.ssh\.defaultkeycommand|interactive\.difffilter|trailer\..*\.(cmd|command)|submodule\..*\.update|hook\..*\.command"
    r"|remote\..*\.(uploadpack|receivepack|vcs)|(browser|man)\..*\.(cmd|path)|lfs\.(customtransfer|extension)\..*|sendemail\..*cmd"
    r"|uploadpack\.packobjectshook|imap\.tunnel"
)
_HOOKS = [
    "applypatch-msg",
    "pre-applypatch",
    "post-applypatch",
    "pre-commit",
    "pre-merge-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-rebase",
    "post-checkout",
    "post-merge",
    "pre-push",
    "pre-receive",
    "update",
    "post-receive",
    "post-update",
    "reference-transaction",
    "push-to-checkout",
    "pre-auto-gc",
    "post-rewrite",
    "sendemail-validate",
    "fsmonitor-watchman",
    "post-index-change",
]


def obeyed_paths(repository: Repository, env: Mapping[str, str], changed: Collection[bytes]) -> list[bytes]:
    """Return those of the changed paths that git obeys in this working copy, in their order. Raises RemoteError when git does not answer."""
    return obeyed_below(repository.root, (repository.common_dir, repository.git_dir), env, changed)


def obeyed_below(root: Path, directories: Collection[Path], env: Mapping[str, str], changed: Collection[bytes]) -> list[bytes]:
    """Return the same for a tree at `root`, or one like it. directories: the repository's git directories, private and common."""
    named = {folded(os.fsencode(path)) for path in _Named(root, env).find(directories)}
    above = {directory for path in named for directory in parents(path)}  # a link there would lead to other files
    return [path for path in changed if folded(path) in above or any(whole in named for whole in (folded(path), *parents(folded(path))))]


class _Named:
    """Finds the paths, relative to the root, that a configuration names."""

    def __init__(self, root: Path, env: Mapping[str, str]) -> None:
        self._root, self._env = root, env

    def find(self, directories: Collection[Path]) -> Iterator[str]:
        """Yield them; a directory stands for all that is in it."""
        answer = ask(self._root, self._env, "config", "--list", "-z", "--show-origin") or ""
        fields = iter(answer.split("\0"))
        for origin, setting in zip(fields, fields, strict=False):
            file = self._root / origin.removeprefix("file:")
            yield from self._inside(file)
            key, _, value = setting.partition("\n")
            if _PATHS.fullmatch(key):
                yield from self._path(key, value, file.parent if key.startswith("include") else self._root)
            elif _COMMANDS.fullmatch(key):
                yield from self._words(value)
        for name in ("hooks", "config", "info/attributes", "info/exclude"):
            for directory in directories:
                yield from self._directory(directory / name)

    def _path(self, key: str, value: str, above: Path) -> Iterator[str]:
        path = above / self._expanded(value.removeprefix(":(optional)"))  # from git 2.52 on: obeyed where it exists
        if os.path.normpath(path) == str(self._root) and key == "core.hookspath":
            yield from _HOOKS
        yield from self._directory(path)

    def _directory(self, path: Path) -> Iterator[str]:
        """Yield a path and what the links in it lead to: a hook may be a link into the tree."""
        yield from self._inside(path)
        try:
            links = [Path(entry.path) for entry in os.scandir(path) if entry.is_symlink()]
        except OSError:
            return
        for link in links:
            yield from self._inside(link)

    def _words(self, command: str) -> Iterator[str]:
        for word in _split(command.removeprefix("!")):
            word = word.rpartition("=")[2] if word.startswith("-") or re.match(r"\w+=", word) else word
            path = self._root / self._expanded(word)
            if "/" in word or os.path.lexists(path):
                yield from self._inside(path)

    def _expanded(self, text: str) -> str:
        home = self._env.get("HOME")
        return f"{home}/{text[2:]}" if home and text.startswith("~/") else text

    def _inside(self, path: Path) -> Iterator[str]:
        """Yield a path as it is written and as its links resolve, where that is below the root."""
        for whole in (os.path.normpath(path), os.path.realpath(path)):
            for root in (str(self._root), os.path.realpath(self._root)):
                relative = os.path.relpath(whole, root)
                if relative != "." and relative.partition("/")[0] not in ("..", ".git"):
                    yield relative


def _split(command: str) -> Iterable[str]:
    """Return the words of a shell command, and the words inside its quoted ones."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return [part for word in words for part in (word, *(re.split(r"[\s;|&()\"']+", word) if re.search(r"\s", word) else ())) if part]
