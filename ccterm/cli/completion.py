"""What the shell offers while a command is typed. Whatever goes wrong, it offers nothing: a message would stand in the middle of the line."""

import os
from collections.abc import Iterator

from ccterm.errors import CctermError
from ccterm.models import Run, State
from ccterm.render import outcome
from ccterm.service.reader import reading
from ccterm.state_dir import StateDir

_MOST = 200
"""How many runs are looked at, the newest ones."""


def runs_like(begin: str) -> list[tuple[str, str]]:
    """Return the runs whose number or branch begins like this, the newest first, as (what to type, what it is)."""
    try:
        with reading(StateDir.from_environment(os.environ)) as record:
            return list(_offers(record.newest(_MOST), begin.removeprefix("#")))
    except (CctermError, OSError):
        return []


def _offers(runs: list[Run], begin: str) -> Iterator[tuple[str, str]]:
    by_number = not begin or begin.isdigit()
    for run in reversed(runs):
        branch = run.task.branch or ""
        told = "running" if run.state is State.RUNNING else outcome(run)
        if by_number and run.ref.startswith(begin):
            yield run.ref, f"{run.task.target}: {told}"
        elif begin and branch.startswith(begin):
            yield branch, f"{run.label}: {told}"
