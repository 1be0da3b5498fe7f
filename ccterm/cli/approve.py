"""Asks on the terminal whether a run's changes may come into the working copy."""

import asyncio
import sys
from pathlib import Path

from ccterm import render
from ccterm.cli.console import say
from ccterm.errors import UsageError
from ccterm.models import Run
from ccterm.output.sanitise import sanitise
from ccterm.service.protocol import Service
from ccterm.workspace.apply.changeset import CHANGES, ChangeSet, diffstat

_SHOWN = 40


def may_ask(*, ask: bool, yes: bool, branch: bool) -> bool:
    """Return whether a person is asked at the end. Raises UsageError for flags that do not go together."""
    if ask and yes:
        raise UsageError("--ask and --yes contradict each other", "give one of them")
    if branch and (ask or yes):
        raise UsageError("a run with a branch is pushed, nothing comes into the working copy", "leave out --yes and --ask, or --branch")
    terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if ask and not terminal:
        raise UsageError("--ask needs a terminal", "leave it out: the changes are kept, and ccterm apply brings them in")
    return terminal and not yes and not branch


async def ask_and_apply(service: Service, run: Run) -> Run:
    """Show what a run would change and bring it in when the answer is yes; a run that awaits nothing is returned as it is."""
    if not run.awaits_apply:
        return run
    for line in _shown(run):
        say(line)
    if not await _yes(f"bring this into {run.task.repo}? [y/N] "):
        return run
    return await service.apply(run.id)


def _shown(run: Run) -> list[str]:
    changes = ChangeSet.read(Path(run.salvage.directory) / CHANGES) if run.salvage else None
    stat = [sanitise(line) for line in diffstat(changes)] if changes else []
    more = [f"… {len(stat) - _SHOWN} more"] if len(stat) > _SHOWN else []
    warnings = [f"! {finding.text}" for finding in run.verdict.findings] if run.verdict else []
    return [*stat[:_SHOWN], *more, render.change_numbers(run), *warnings]


async def _yes(question: str) -> bool:
    """Ask on the terminal. A line is read when it is there: a thread that waits for one would not hear a Ctrl-C."""
    sys.stderr.write(question)
    sys.stderr.flush()
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
