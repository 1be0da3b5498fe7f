"""`ccterm skill install`: writes the skill where Claude Code finds it."""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from ccterm import __version__
from ccterm.causes import ExitCode
from ccterm.cli.console import print_data, print_json, print_note
from ccterm.draft import current_directory
from ccterm.errors import UsageError

_SOURCE = Path(__file__).with_name("SKILL.md")
_MARK = re.compile(r"\n<!-- ccterm \S+ ([0-9a-f]{64}) -->\n\Z")
"""The last line of an installed skill: the version that wrote it, and the digest of what it wrote."""


def skill() -> str:
    """Return the skill."""
    return _SOURCE.read_text("utf-8")


def install_skill(*, project: bool, force: bool, as_json: bool) -> ExitCode:
    """Write the skill for the user, or for the project of the current directory. Raises UsageError when somebody changed the one that is there."""
    path = _place(project=project) / "skills" / "ccterm" / "SKILL.md"
    before = _there(path)
    if before is not None and not (force or _is_ours(before)):
        raise UsageError(f"{path} is not as ccterm wrote it", "look at it, then ccterm skill install --force replaces it")
    after = f"{skill()}\n<!-- ccterm {__version__} {_digest(skill())} -->\n"
    if before != after:
        _write(path, after)
    if as_json:
        print_json({"path": str(path), "changed": before != after})
    else:
        print_data(str(path))
        print_note("Claude Code finds it from its next start on" if before != after else "it is there and current")
    return ExitCode.OK


def _place(*, project: bool) -> Path:
    if not project:
        return Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    here = current_directory()
    root = next((each for each in (here, *here.parents) if (each / ".git").exists()), here)
    return root / ".claude"


def _there(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "move it away, then try again") from error


def _is_ours(text: str) -> bool:
    mark = _MARK.search(text)
    return mark is not None and mark[1] == _digest(text[: mark.start()])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, text: str) -> None:
    """Write a file whole: it is replaced, so that a link that is there leads nothing elsewhere."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as fresh:
            fresh.write(text)
        fresh_path = Path(fresh.name)
        fresh_path.chmod(0o644)
        fresh_path.replace(path)
    except OSError as error:
        raise UsageError(f"{error.filename or path} cannot be written: {error.strerror}", "check who owns the directory") from error
