"""The two routes that start runs, and waiting for runs to end."""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request

from ccterm.api.backend import Back, Backend, Json, joined, new_run_response
from ccterm.api.bodies import body_object
from ccterm.api.limits import WAIT_SECONDS
from ccterm.api.schemas import BATCH_BODY, BATCH_DOCUMENT, RUN_BODY, answers, new_run_answers
from ccterm.draft import Draft
from ccterm.models import Run, RunId, State

router = APIRouter(prefix="/api/v1/agents")
Wait = Annotated[
    float, Query(ge=0, le=WAIT_SECONDS, allow_inf_nan=False, description="Answer once all runs have ended, or after so many seconds")
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,255}$",
        description="Names this order: the same one sent again, after whatever went wrong, starts nothing anew and gets the runs of the first time",
    ),
]
_PAUSE = 0.2


@router.post("/run", status_code=202, responses=new_run_answers(200, 202), openapi_extra=RUN_BODY)
async def run(request: Request, backend: Back, wait: Wait = 0, key: Key = None) -> Json:
    """Start one run.

    With `branch`, its work is pushed there; without, its changes come into the working copy unless a rule refuses them.
    """
    given = await body_object(request)
    draft = await asyncio.to_thread(backend.permissions.draft, given)
    [started] = await _started(request, backend, [draft], key)
    [ended] = await until_ended(backend, [started], wait)
    return new_run_response(ended)


@router.post("/run-parallel", status_code=202, responses=answers(BATCH_DOCUMENT, 200, 202), openapi_extra=BATCH_BODY)
async def run_parallel(request: Request, backend: Back, wait: Wait = 0, key: Key = None) -> Json:
    """Start several runs as one batch. What the body says beside `tasks` counts for each task that does not say it itself."""
    given = await body_object(request)
    drafts, at_once = await asyncio.to_thread(backend.permissions.batch, given)
    started = await _started(request, backend, drafts, key, at_once)
    ended = await until_ended(backend, started, wait)
    batch = ended[0].batch
    counts = {state.value: sum(each.state is state for each in ended) for state in State}
    head = json.dumps({"batch": batch, "counts": {"total": len(ended), **counts}})
    status = 200 if all(each.state.final for each in ended) else 202
    return Json(head[:-1].encode() + b', "runs": ' + joined(ended) + b"}", status, {"location": f"/api/v1/runs?batch={batch}"})


async def _started(request: Request, backend: Backend, drafts: Sequence[Draft], key: str | None, at_once: int | None = None) -> list[Run]:
    started = await backend.service.submit(drafts, max_concurrent=at_once, key=key)
    request.state.runs = [each.id for each in started]
    return started


async def until_ended(backend: Backend, runs: Sequence[Run], seconds: float) -> list[Run]:
    """Return runs once all have ended, the time is over, or the server stops."""
    if not seconds:
        return list(runs)
    work = asyncio.ensure_future(_all_ended(backend, runs))
    stopping = asyncio.ensure_future(backend.stopping.wait())
    try:
        await asyncio.wait((work, stopping), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else [await backend.service.find(run.id) for run in runs]
    finally:
        work.cancel()
        stopping.cancel()


async def _all_ended(backend: Backend, runs: Sequence[Run]) -> list[Run]:
    return [await _ended(backend, run.id) for run in runs]


async def _ended(backend: Backend, run: RunId) -> Run:
    while not (found := await backend.service.wait(run)).state.final:  # noqa: ASYNC110 - another process ends it
        await asyncio.sleep(_PAUSE)  # its daemon died: another one is just starting
    return found
