"""What the launch form holds when it opens: the repository of the current directory, a kept draft, else what was launched last."""

from collections.abc import Mapping
from pathlib import Path

from ccterm.draft import starting_directory
from ccterm.settings import Settings
from ccterm.tui.launch_form import DELIVERY, PUSH
from ccterm.tui.memory import Memories

FROM = "directory"
"""In a kept draft: where it was written."""


def defaults_of(settings: Settings) -> dict[str, str]:
    """Return what the fields hold where nobody has chosen anything."""
    return {"execution_mode": str(settings.execution_mode), "agent": settings.agent, DELIVERY: PUSH}


def first_form(memory: Memories, defaults: dict[str, str]) -> dict[str, str]:
    """Return the form as it opens. What it says of the repository is that of the current directory, whatever was launched last."""
    here = starting_directory()
    last = {"execution_mode" if name == "mode" else name: text for name, text in memory.form.items()}
    form = {"prompt": "", **defaults, **last, **memory.draft}
    own = repository_above(here)
    if own is not None and memory.draft.get(FROM) != str(here):
        form["repo"] = short(own)
    return {**form, "repo": form.get("repo") or str(here)}


def kept_form(form: Mapping[str, str]) -> dict[str, str]:
    """Return a form as it is kept as a draft."""
    return {**form, FROM: str(starting_directory())}


def repository_above(directory: Path) -> Path | None:
    """Return the top of the working copy that a directory is in, as its `.git` tells; None when it is in none."""
    try:
        return next((each for each in (directory, *directory.parents) if (each / ".git").exists()), None)
    except OSError:
        return None


def short(path: Path) -> str:
    """Return a path as people write it: with ~ for the home directory."""
    try:
        home = Path.home()
    except RuntimeError:
        return str(path)
    return f"~/{path.relative_to(home)}" if path != home and path.is_relative_to(home) else str(path)
