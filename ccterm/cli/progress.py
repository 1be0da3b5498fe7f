"""Follows runs while they happen: events as JSON lines on stdout, or lines for a person on stderr when that is a terminal."""

import asyncio
import sys
from collections.abc import Sequence

from ccterm import render
from ccterm.cli.console import say, tell
from ccterm.events import Event, Finished, Held, Notice, Pushed, Salvaged, Started, Typing, Waiting, to_line
from ccterm.models import Run
from ccterm.service.protocol import Service

_MILESTONES = (Held, Started, Waiting, Pushed, Salvaged, Finished)


async def follow_all(service: Service, runs: Sequence[Run], *, as_json: bool) -> None:
    """Follow runs to their ends, showing what fits: one run in full, several by their milestones."""
    several = len(runs) > 1
    async with asyncio.TaskGroup() as group:
        for run in runs:
            group.create_task(_follow(service, run, as_json=as_json, several=several))


async def _follow(service: Service, run: Run, *, as_json: bool, several: bool) -> None:
    watched = sys.stderr.isatty()
    async for event in service.follow(run.id):
        if as_json:
            tell(to_line(event).decode().rstrip("\n"))
        elif watched:
            _show(run, event, several=several)


def _show(run: Run, event: Event, *, several: bool) -> None:
    if isinstance(event, Typing):
        return
    if not several:
        for line in render.lines(event):
            say(line)
    elif isinstance(event, _MILESTONES) or (isinstance(event, Notice) and event.level != "info"):
        for line in render.lines(event):
            say(f"{run.task.target}: {line}")
