"""What a working copy says for itself, in its .ccterm.toml: a few keys only, and in local mode its commands need the user's trust."""

import os
from pathlib import Path

from pydantic import Field

from ccterm.errors import SettingsError
from ccterm.settings.model import SettingsPart
from ccterm.settings.toml_file import parse, read_bytes
from ccterm.settings.trust import PROJECT_FILE, Trust
from ccterm.settings.units import Base, Command, InsidePath


class ProjectSettings(SettingsPart):
    """The keys of a .ccterm.toml."""

    setup: Command | None = None
    verify: Command | None = None
    base: Base | None = None
    model: str | None = None
    include: tuple[InsidePath, ...] = ()
    """Globs of ignored files that a snapshot of the working copy takes along."""


class Project(SettingsPart):
    """A working copy's own settings, and whether the user trusts their commands."""

    path: Path
    settings: ProjectSettings = Field(default_factory=ProjectSettings)
    trusted: bool = True

    def require_trust(self) -> None:
        """Raise SettingsError when there are commands that the user has not said yes to; local mode asks this before it runs one."""
        commands = [name for name in ("setup", "verify") if getattr(self.settings, name)]
        if commands and not self.trusted:
            raise SettingsError(
                f"{self.path} wants to run its {' and '.join(commands)} on this machine and is new or has changed",
                f"read it, then say ccterm trust {self.path.parent}",
            )


def load_project(directory: Path, trust: Trust) -> Project:
    """Return what the .ccterm.toml of a working copy says; all defaults when there is none. Raises SettingsError."""
    path = Path(os.path.realpath(directory)) / PROJECT_FILE
    content = read_bytes(path, follow=False, own=False)  # trust goes by content
    if content is None:
        return Project(path=path)
    settings = parse(path, content, ProjectSettings)  # the same bytes that trust is asked about
    return Project(path=path, settings=settings, trusted=trust.holds(path.parent, content))
