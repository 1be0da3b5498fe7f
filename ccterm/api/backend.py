"""What the routes work with, and how they say what came of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Path, Request, Response

from ccterm.api.feeds import Feeds
from ccterm.api.limits import Streams
from ccterm.api.permissions import Permissions
from ccterm.api.problems import HttpProblem
from ccterm.models import Run
from ccterm.service.protocol import Service
from ccterm.values import to_json

RUN = r"^(?:[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}|[1-9][0-9]{0,17}|last)$"
"""How a run is named in an address: its id, its number, or `last`."""


@dataclass(frozen=True)
class Backend:
    """The service, what may be asked of it, and what ends when the server does."""

    service: Service
    permissions: Permissions
    feeds: Feeds
    streams: Streams = field(default_factory=Streams)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


async def _backend(request: Request) -> Backend:
    found = request.app.state.backend
    assert isinstance(found, Backend)
    return found


Back = Annotated[Backend, Depends(_backend)]
RunName = Annotated[str, Path(description="A run's id, its number, or `last`", pattern=RUN, examples=["last"])]


async def found_run(backend: Back, run: RunName) -> Run:
    """Return the run that the address names. Raises UnknownRun."""
    return await backend.service.find(run.upper() if len(run) > 20 else run)


Found = Annotated[Run, Depends(found_run)]


class Json(Response):
    """A response whose content is JSON already."""

    media_type = "application/json"


def run_response(run: Run, status: int = 200) -> Json:
    """Return a run document."""
    return Json(to_json(run), status)


def new_run_response(run: Run) -> Json:
    """Return the document of a run that was started, with its address."""
    return Json(to_json(run), 200 if run.state.final else 202, {"location": f"/api/v1/runs/{run.id}"})


def joined(runs: Sequence[Run]) -> bytes:
    """Return run documents as a JSON array."""
    return b"[" + b",".join([to_json(run) for run in runs]) + b"]"


def nothing_to_show(run: Run) -> HttpProblem:
    """Return the refusal to show changes that there are none of."""
    return HttpProblem(404, "no-changes", f"run {run.label} has no changes to show ({run.state})", f"GET /api/v1/runs/{run.ref} shows it")
