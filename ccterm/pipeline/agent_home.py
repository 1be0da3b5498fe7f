"""The agent's private HOME: what it holds from the start, and the conversation that is kept of it afterwards."""

import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from ccterm.agents.base import MCP_FILE
from ccterm.errors import SettingsError
from ccterm.git.rooted import Root
from ccterm.output.clean import Cleaner, copy_cleaned

RAW_CONVERSATION = "session.raw"
"""In a run's directory, for as long as the conversation is being cleaned: as it came out of the box."""


class HomeFiles:
    """The user's files for an agent's HOME.

    source: the user's own ~/.claude. items: relative paths in it; missing ones are skipped. more: relative path -> file that must be there.
    """

    def __init__(self, source: Path, items: Sequence[str], mcp: Path | None, more: Mapping[str, Path] | None = None) -> None:
        self._source, self._items, self._mcp, self._more = source, items, mcp, more or {}

    def fill(self, home: Path) -> bool:
        """Copy the files into a fresh directory; links are followed, as dotfiles are often links. Returns whether there are any.

        Blocks. Raises SettingsError for a file that exists and cannot be read.
        """
        try:
            for item in self._items:
                _copy(self._source / item, home / ".claude" / item)
            if self._mcp:
                _copy(self._mcp, home / MCP_FILE)
            for name, path in self._more.items():
                _copy(path, home / name)
        except OSError as error:
            raise SettingsError(f"{error.filename} cannot be read: {error.strerror}", "fix home or mcp in the settings") from error
        return home.is_dir()


def keep_conversation(cleaner: Cleaner, collected: Path, to: Path) -> None:
    """Copy a collected conversation, cleaned. Blocks. Raises OSError."""
    for source in sorted(collected.glob("*.jsonl"))[:1]:
        to.unlink(missing_ok=True)
        copy_cleaned(cleaner, os.open(source, os.O_RDONLY | os.O_NOFOLLOW), to)


def keep_left_conversation(cleaner: Cleaner, home: Path, session_id: str, to: Path) -> None:
    """Copy a conversation, cleaned, out of the HOME that an agent left, if there is one; no link is followed. Blocks. Raises OSError."""
    projects = b".claude/projects"
    with Root(home, hostile=True) as root:
        try:
            names = root.list(projects)
        except FileNotFoundError:  # it ended before it said anything
            return
        paths = [b"%s/%s/%s.jsonl" % (projects, name, session_id.encode()) for name in names]
        for path in [path for path in paths if (found := root.stat(path)) and stat.S_ISREG(found.st_mode)][:1]:
            copy_cleaned(cleaner, root.open(path), to)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copytree(source, target, symlinks=False, ignore_dangling_symlinks=True)
    elif source.is_file():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(source, target)
