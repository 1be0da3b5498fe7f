"""What the shell offers while a command is typed. Whatever goes wrong, it offers nothing: a message would stand in the middle of the line."""

import os
from collections.abc import Iterator
from pathlib import Path

from ccterm.errors import CctermError
from ccterm.models import Run, State
from ccterm.render import outcome
from ccterm.service.reader import reading
from ccterm.state_dir import StateDir

_KNOWN = {
    "agent": {"claude": "Claude Code", "scripted": "plays a script, for trials"},
    "model": {"opus": "", "sonnet": "", "haiku": ""},
}
_MOST = 200
"""How many runs are looked at, the newest ones."""


def runs_like(begin: str) -> list[tuple[str, str]]:
    """Return the runs whose number or branch begins like this, the newest first, as (what to type, what it is)."""
    try:
        with reading(StateDir.from_environment(os.environ)) as record:
            return list(_offers(record.newest(_MOST), begin.removeprefix("#")))
    except (CctermError, OSError):
        return []


def values_like(field: str, begin: str) -> list[tuple[str, str]]:
    """Return values of a task's field that begin like this: refs of the working copy that the shell is in, known models, agents, hosts by their presets."""
    if field in ("base", "branch"):
        return [(name, "") for name in _refs(tags=field == "base") if name.startswith(begin)]
    if field == "egress":
        return list(_networks(begin))
    return [(name, told) for name, told in _KNOWN.get(field, {}).items() if name.startswith(begin)]


def _networks(begin: str) -> Iterator[tuple[str, str]]:
    """Yield presets, and what stands for no list, in place of the last word."""
    from ccterm.settings.egress import MODES, PRESETS  # deferred: few complete it

    before, comma, word = begin.rpartition(",")
    for name in PRESETS if comma else (*MODES, *PRESETS):
        if name.startswith(word):
            yield f"{before}{comma}{name}", ", ".join(PRESETS.get(name, ()))


def _refs(*, tags: bool) -> Iterator[str]:
    from ccterm.workspace.origin import ask  # deferred: only these values need git

    spaces = ["refs/heads", "refs/remotes/origin", *(["refs/tags"] if tags else [])]
    try:
        listed = ask(Path.cwd(), os.environ, "for-each-ref", "--format=%(refname:lstrip=2)", *spaces)
    except (CctermError, OSError):
        return
    names = dict.fromkeys(name.removeprefix("origin/") for name in (listed or "").splitlines())
    yield from (name for name in names if name not in ("HEAD", "origin"))


def _offers(runs: list[Run], begin: str) -> Iterator[tuple[str, str]]:
    by_number = not begin or begin.isdigit()
    for run in reversed(runs):
        branch = run.task.branch or ""
        told = "running" if run.state is State.RUNNING else outcome(run)
        if by_number and run.ref.startswith(begin):
            yield run.ref, f"{run.task.target}: {told}"
        elif begin and branch.startswith(begin):
            yield branch, f"{run.label}: {told}"
