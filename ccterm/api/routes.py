"""The routes about runs that exist: look at them, follow them, give them orders, deliver their work."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import AwareDatetime

from ccterm.api.backend import Back, Found, Json, joined, new_run_response, nothing_to_show, run_response
from ccterm.api.bodies import ApplyBody, CancelBody, ContinueBody, Nothing, SteerBody, body_of
from ccterm.api.problems import HttpProblem
from ccterm.api.schemas import (
    DIFF_DOCUMENT,
    EVENT_STREAM,
    PATCH,
    RUN_DOCUMENT,
    RUNS_DOCUMENT,
    answers,
    json_body,
    new_run_answers,
)
from ccterm.api.streams import AllEvents, EventStream, follow_run, recorded_of_run
from ccterm.models import BatchId, Run, State

router = APIRouter(prefix="/api/v1")
PAGE = 100
MOST = 1000
LastId = Annotated[
    str | None, Header(alias="Last-Event-ID", max_length=16_000, description="The id of the last event that came, to go on after it")
]
_NUMBER = 10**18
RUN_ANSWER = answers(RUN_DOCUMENT, 200)
NEW_RUN_ANSWER = new_run_answers(202)


@router.get("/runs", responses=answers(RUNS_DOCUMENT, 200))
async def list_runs(
    backend: Back,
    state: Annotated[list[State] | None, Query(description="Only runs in one of these states")] = None,
    since: Annotated[
        AwareDatetime | None, Query(description="Only runs that were created then or later; with an offset, such as Z")
    ] = None,
    batch: Annotated[str | None, Query(max_length=64, description="Only runs of this batch")] = None,
    branch: Annotated[str | None, Query(max_length=1000, description="Only runs on this branch")] = None,
    before: Annotated[int | None, Query(ge=1, le=_NUMBER, description="Only runs with a lower number: the next page")] = None,
    name: Annotated[
        str | None,
        Query(min_length=1, max_length=250, description="Only the run that is meant: by number, branch, id or its beginning, or `last`"),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST, description="How many at most")] = PAGE,
) -> Json:
    """List runs, the newest first; `next` is the address of the next page."""
    if name is not None:
        return _page([await backend.service.find(name)], None)
    wanted = BatchId(batch) if batch else None
    found = await backend.service.runs(states=state or (), since=since, before=before, batch=wanted, branch=branch, limit=limit + 1)
    page = found[::-1][:limit]
    following = None
    if len(found) > limit:
        asked = {
            "state": state or [],
            "since": since and since.isoformat(),
            "batch": batch,
            "branch": branch,
            "before": page[-1].number,
            "limit": limit,
        }
        following = "/api/v1/runs?" + urlencode({name: value for name, value in asked.items() if value}, doseq=True)
    return _page(page, following)


def _page(runs: Sequence[Run], following: str | None) -> Json:
    return Json(b'{"runs": ' + joined(runs) + b', "next": ' + json.dumps(following).encode() + b"}")


@router.get("/runs/{run}", responses=RUN_ANSWER)
async def show_run(run: Found) -> Json:
    """Show one run."""
    return run_response(run)


@router.get("/runs/{run}/events", response_class=EventStream, status_code=200, responses=EVENT_STREAM)
async def run_events(
    backend: Back,
    run: Found,
    last: LastId = None,
    live: Annotated[bool, Query(description="Go on until the run ends; else only what is recorded so far")] = True,
) -> Response:
    """Follow a run's events to its end, as server-sent events. Each has its number as its id."""
    try:
        after = int(last) if last else -1
    except ValueError as error:
        raise HttpProblem(
            400, "last-event-id", "Last-Event-ID is no number of an event", "leave it out, or send the last id that came"
        ) from error
    after = max(-1, after)
    return EventStream(partial(follow_run if live else recorded_of_run, backend.feeds, run.id, after), backend)


@router.get("/events", response_class=EventStream, status_code=200, responses=EVENT_STREAM)
async def all_events(backend: Back, last: LastId = None) -> Response:
    """Follow the events of all runs, as server-sent events. After a reconnection an event may come again: its run and seq tell."""
    return EventStream(AllEvents(backend, last).follow, backend)


@router.get("/runs/{run}/diff", responses=answers(DIFF_DOCUMENT, 200))
async def diff(backend: Back, run: Found) -> Json:
    """Show what a run changed: numbers, and the patch as text."""
    patch = await backend.service.patch(run.id)
    if patch is None:
        raise nothing_to_show(run)
    known = await backend.service.find(run.id)
    changes = known.changes.model_dump(mode="json") if known.changes else None
    return Json(json.dumps({"run": run.id, "changes": changes, "patch": patch.decode("utf-8", "replace")}).encode())


@router.get("/runs/{run}/patch", response_class=Response, responses=PATCH)
async def patch(backend: Back, run: Found) -> Response:
    """Return what a run changed as a patch, in git's own bytes, with secrets masked."""
    found = await backend.service.patch(run.id)
    if found is None:
        raise nothing_to_show(run)
    return Response(found, media_type="text/plain; charset=utf-8")


@router.post("/runs/{run}/cancel", status_code=200, responses=RUN_ANSWER, openapi_extra=json_body(CancelBody, {"now": False}))
async def cancel(request: Request, backend: Back, run: Found) -> Json:
    """Stop a run; what its agent has done so far is kept, unless `now`."""
    body = await body_of(request, CancelBody)
    request.state.runs = [run.id]
    await backend.service.cancel(run.id, now=body.now)
    return run_response(await backend.service.find(run.id))


@router.post(
    "/runs/{run}/steer", status_code=200, responses=RUN_ANSWER, openapi_extra=json_body(SteerBody, {"text": "Also update the README"})
)
async def steer(request: Request, backend: Back, run: Found) -> Json:
    """Send a message to a running agent; its answer is a `steered` event."""
    body = await body_of(request, SteerBody)
    await _permitted(request, backend, run)
    await backend.service.steer(run.id, body.text)
    return run_response(await backend.service.find(run.id))


@router.post("/runs/{run}/hold", status_code=200, responses=RUN_ANSWER, openapi_extra=json_body(Nothing))
async def hold(request: Request, backend: Back, run: Found) -> Json:
    """Make a running agent wait for input when its turn ends."""
    return await _ordered(request, backend, run, backend.service.hold)


@router.post("/runs/{run}/release", status_code=200, responses=RUN_ANSWER, openapi_extra=json_body(Nothing))
async def release(request: Request, backend: Back, run: Found) -> Json:
    """Let a waiting agent finish."""
    return await _ordered(request, backend, run, backend.service.release)


@router.post("/runs/{run}/push", status_code=200, responses=RUN_ANSWER, openapi_extra=json_body(Nothing))
async def push(request: Request, backend: Back, run: Found) -> Json:
    """Push what was kept of a run to its branch, by the same rules as at its end."""
    return await _ordered(request, backend, run, backend.service.push)


@router.post("/runs/{run}/undo", status_code=200, responses=RUN_ANSWER, openapi_extra=json_body(Nothing))
async def undo(request: Request, backend: Back, run: Found) -> Json:
    """Restore what a run's changes replaced in its working copy."""
    return await _ordered(request, backend, run, backend.service.undo)


@router.post("/runs/{run}/apply", status_code=200, responses=RUN_ANSWER, openapi_extra=json_body(ApplyBody, {"paths": []}))
async def apply(request: Request, backend: Back, run: Found) -> Json:
    """Bring the changes of a run without a branch, or some paths of them, into its working copy: all, or none."""
    body = await body_of(request, ApplyBody)
    await _permitted(request, backend, run)
    return run_response(await backend.service.apply(run.id, only=body.paths))


@router.post("/runs/{run}/retry", status_code=202, responses=NEW_RUN_ANSWER, openapi_extra=json_body(Nothing))
async def retry(request: Request, backend: Back, run: Found) -> Json:
    """Run the same task again."""
    await body_of(request, Nothing)
    await _permitted(request, backend, run)
    started = await backend.service.retry(run.id)
    request.state.runs = [run.id, started.id]
    return new_run_response(started)


@router.post(
    "/runs/{run}/continue", status_code=202, responses=NEW_RUN_ANSWER, openapi_extra=json_body(ContinueBody, {"text": "Now add a test"})
)
async def continue_(request: Request, backend: Back, run: Found) -> Json:
    """Go on with an ended run: same conversation, same branch."""
    body = await body_of(request, ContinueBody)
    await _permitted(request, backend, run)
    started = await backend.service.continue_(run.id, body.text, branch=body.branch, fresh=body.fresh)
    request.state.runs = [run.id, started.id]
    return new_run_response(started)


async def _ordered(request: Request, backend: Back, run: Found, order: "Callable[..., Awaitable[object]]") -> Json:
    """Carry out an order that takes no arguments."""
    await body_of(request, Nothing)
    await _permitted(request, backend, run)
    await order(run.id)
    return run_response(await backend.service.find(run.id))


async def _permitted(request: Request, backend: Back, run: Found) -> None:
    request.state.runs = [run.id]
    await asyncio.to_thread(backend.permissions.require, run)
