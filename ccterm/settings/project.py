"""What a working copy says for itself: a .ccterm.toml with a few keys, a .worktreeinclude, agent settings; and what of it is trusted."""

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from ccterm.errors import SettingsError
from ccterm.settings.model import SettingsPart
from ccterm.settings.toml_file import parse, parse_all, read_bytes
from ccterm.settings.trust import AGENT_SETTINGS, INCLUDE_FILE, PROJECT_FILE, Trust
from ccterm.settings.units import Base, Command, InsidePath

_MOST_PATTERNS = 1_000


class ProjectSettings(SettingsPart):
    """The keys of a .ccterm.toml."""

    setup: Command | None = None
    """Command that prepares the tree before the agent."""
    verify: Command | None = None
    """Command that must succeed on the new commit before it is delivered."""
    base: Base | None = None
    """Branch, tag or sha that new branches start from."""
    model: str | None = None
    """Model for the agent."""
    include: tuple[InsidePath, ...] = ()
    """Globs of ignored files that a snapshot of the working copy includes."""


class Project(SettingsPart):
    """A working copy's own settings, and whether the user trusts their commands."""

    path: Path
    settings: ProjectSettings = Field(default_factory=ProjectSettings)
    trusted: bool = True
    include: tuple[str, ...] = ()
    """Patterns of the ignored files that the agent of a testing run gets: those of both files, as far as they are trusted."""
    left_out: tuple[str, ...] = ()
    """What names ignored files and is not trusted."""
    agent_settings: str = ""
    """The digest of the agent settings that the user trusts, or ""."""

    def require_trust(self) -> None:
        """Raise SettingsError if there are commands that the user does not trust."""
        commands = [name for name in ("setup", "verify") if getattr(self.settings, name)]
        if commands and not self.trusted:
            raise SettingsError(
                f"{self.path} wants to run its {' and '.join(commands)} on this machine and is new or has changed",
                f"read it, then run ccterm trust {self.path.parent}",
            )

    @property
    def include_note(self) -> str:
        """One line about what is not handed to the agent for lack of trust, or ""."""
        if not self.left_out:
            return ""
        verb = "is" if len(self.left_out) == 1 else "are"
        return (
            f"the ignored files that {' and '.join(self.left_out)} would hand to the agent stay here: it {verb} new or has changed; "
            f"read it, then run ccterm trust {self.path.parent}"
        )


def load_project(directory: Path, trust: Trust) -> Project:
    """Return what a working copy says for itself; all defaults when it says nothing. Raises SettingsError and StateError."""
    root = Path(os.path.realpath(directory))
    project = _from_file(root / PROJECT_FILE, trust)
    patterns, trusted = _patterns(root / INCLUDE_FILE, trust)
    left_out = [f"include in {PROJECT_FILE}"] if project.settings.include and not project.trusted else []
    left_out += [INCLUDE_FILE] if patterns and not trusted else []
    include = (project.settings.include if project.trusted else ()) + (patterns if trusted else ())
    return project.model_copy(
        update={"include": include, "left_out": tuple(left_out), "agent_settings": trust.digest(root / AGENT_SETTINGS)},
    )


def check_project(directory: Path) -> Sequence[SettingsError]:
    """Return everything that is wrong with what a working copy says for itself."""
    found = list[SettingsError]()
    path = directory / PROJECT_FILE
    try:
        if (content := read_bytes(path, follow=False, own=False)) is not None:
            found += parse_all(path, content, ProjectSettings)[1]
    except SettingsError as error:
        found.append(error)
    try:
        _patterns_of(directory / INCLUDE_FILE)
    except SettingsError as error:
        found.append(error)
    return found


def _from_file(path: Path, trust: Trust) -> Project:
    content = read_bytes(path, follow=False, own=False)  # who owns it does not matter: trust is by content
    if content is None:
        return Project(path=path)
    settings = parse(path, content, ProjectSettings)  # the very bytes whose trust is checked
    return Project(path=path, settings=settings, trusted=trust.holds(path, content))


def _patterns(path: Path, trust: Trust) -> tuple[tuple[str, ...], bool]:
    """Return the patterns of a .worktreeinclude, which is written as a .gitignore, and whether they are trusted."""
    patterns, content = _patterns_of(path)
    return patterns, content is not None and trust.holds(path, content)


def _patterns_of(path: Path) -> tuple[tuple[str, ...], bytes | None]:
    content = read_bytes(path, follow=False, own=False)
    lines = [_stripped(line) for line in (content or b"").decode("utf-8", "replace").split("\n")]
    patterns = tuple(line for line in lines if line and not line.startswith("#") and "\0" not in line)
    if len(patterns) > _MOST_PATTERNS:
        raise SettingsError(f"{path} holds more than {_MOST_PATTERNS:,} patterns", "name directories instead of files")
    return patterns, content


def _stripped(line: str) -> str:
    """Return a pattern without the blanks at its end, as git reads it."""
    line = line.removesuffix("\r")
    bare = line.rstrip(" ")
    return f"{bare} " if bare.endswith("\\") and bare != line else bare
