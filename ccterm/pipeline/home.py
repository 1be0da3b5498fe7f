"""What an agent's private HOME holds from the start: the few things of the user's own that the settings name, and nothing else of theirs."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from ccterm.agents.base import MCP_FILE
from ccterm.errors import SettingsError


class HomeItems:
    """Fills homes. source: the user's own ~/.claude. items: relative paths in it; those that are not there are left out."""

    def __init__(self, source: Path, items: Sequence[str], mcp: Path | None) -> None:
        self._source, self._items, self._mcp = source, items, mcp

    def fill(self, home: Path) -> bool:
        """Copy the items into a fresh directory; links are followed, as dotfiles are often linked. Returns whether there is anything.

        Raises SettingsError for what is there and cannot be read.
        """
        try:
            for item in self._items:
                _copy(self._source / item, home / ".claude" / item)
            if self._mcp:
                _copy(self._mcp, home / MCP_FILE)
        except OSError as error:
            raise SettingsError(f"{error.filename} cannot be read: {error.strerror}", "mend home or mcp in the settings") from error
        return home.is_dir()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copytree(source, target, symlinks=False, ignore_dangling_symlinks=True)
    elif source.is_file():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(source, target)
