"""The application: routes, what becomes of errors, and the OpenAPI document."""

import asyncio
import logging
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from ccterm import __version__
from ccterm.api import routes, submit
from ccterm.api.backend import Back, Backend, Json
from ccterm.api.problems import MEDIA_TYPE, HttpProblem, problem_of
from ccterm.api.schemas import CHECKS_DOCUMENT, CHECKS_EXAMPLE, answers, document_schemas
from ccterm.errors import CctermError
from ccterm.models import ExecutionMode
from ccterm.problems import nearest, quoted, wrong
from ccterm.values import to_json

_log = logging.getLogger(__name__)
_ABOUT = (
    "Start agents, watch them, steer them, and get each one's work as a pushed branch or in the working copy. Over TCP every request carries "
    "the header `Authorization: Bearer TOKEN`; `ccterm token` prints the token. Over the private socket it needs none."
)


def make_app(backend: Backend | None = None, mcp: ASGIApp | None = None) -> FastAPI:
    """Return the application. backend: None = only its OpenAPI document is wanted. mcp: answers other agents, at /mcp."""
    app = FastAPI(
        title="ccterm",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=lambda route: route.name,
        dependencies=[Depends(_require_known_parameters)],
    )
    app.state.backend = backend
    app.include_router(submit.router)
    app.include_router(routes.router)
    if mcp:
        app.router.routes.append(Route("/mcp", mcp, methods=["POST"]))
    app.add_api_route(
        "/api/v1/checks", _checks, methods=["GET"], responses=answers(CHECKS_DOCUMENT, 200, example=CHECKS_EXAMPLE), name="checks"
    )
    app.add_api_route("/api/v1/openapi.json", _openapi, include_in_schema=False)
    app.add_api_route(
        "/healthz", _healthz, responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}}, name="healthz"
    )
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return app


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    for operation in (each for path in document["paths"].values() for each in path.values()):
        operation["responses"].pop("422", None)  # it is among those that are refused
    components = document.setdefault("components", {})
    components["schemas"] = dict(document_schemas())
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {**document, "security": [{"token": []}, {}]}


async def _require_known_parameters(request: Request) -> None:
    """Refuse a parameter that the route does not have: one that is misspelt would be left out without a word. Raises HttpProblem."""
    route = request.scope["route"]
    if route.name in ("healthz", "_openapi"):  # monitors add what they like
        return
    known = [each.alias for each in route.dependant.query_params] if isinstance(route, APIRoute) else []
    for name in request.query_params:
        if name not in known:
            fix = nearest(name, known).replace("known keys", "its parameters") if known else "leave it out"
            raise HttpProblem(422, "invalid-parameter", f"{request.url.path[:200]} has no parameter {quoted(name)}", fix)


async def _openapi(request: Request) -> dict[str, Any]:
    """Return this server's OpenAPI document."""
    return openapi(request.app)


async def _healthz() -> dict[str, bool]:
    """Say that the server is there."""
    return {"ok": True}


async def _checks(
    backend: Back,
    execution_mode: Annotated[ExecutionMode | None, Query(description="Where runs would go; else as configured")] = None,
    repo: Annotated[str | None, Query(description="A repository, whose remote is asked, too")] = None,
    branch: Annotated[str | None, Query(description="A branch of it that runs would push")] = None,
) -> Json:
    """Ask what a run needs, each thing with its fix."""
    where = await asyncio.to_thread(backend.permissions.repo, repo)
    asked = {"repo": where, "branch": branch} if repo or branch else {"here": where}
    found = [to_json(result) async for result in backend.service.checks(execution_mode, **asked)]
    return Json(b"[" + b",".join(found) + b"]")


def _response(problem: HttpProblem) -> Response:
    return Response(problem.body, problem.status, problem.headers, MEDIA_TYPE)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HttpProblem)
    return _response(error)


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, CctermError)
    return _response(problem_of(error, of_run="run" in request.path_params))


async def _invalid(_: Request, error: Exception) -> Response:
    """Say which part of the address or which header is wrong."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place, name = first["loc"][0], str(first["loc"][-1] if len(first["loc"]) < 3 else first["loc"][1])
    if place == "path":
        return _response(HttpProblem(404, "unknown-run", "the address names no run", "use a run's id, its number, or last"))
    what = "the header" if place == "header" else "the parameter"
    text, fix = wrong(first["type"], first.get("ctx", {}), first["msg"])
    return _response(HttpProblem(422, "invalid-parameter", f"{what} {quoted(name)} {text}", fix))


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    place, action = request.url.path[:200], "ccterm serve --openapi prints what there is"
    if error.status_code == 405:
        detail, action = f"{request.method} is not used at {place}", f"ask with {(error.headers or {}).get('allow', 'GET')}"
    else:
        detail = f"there is nothing at {place}" if error.status_code == 404 else str(error.detail)
    return _response(HttpProblem(error.status_code, "address", detail, action, headers=error.headers))


async def _defect(_: Request, error: Exception) -> Response:
    _log.error("defect", exc_info=error)
    return _response(HttpProblem(500, "defect", f"{type(error).__name__}: {error}", "please report it; ccterm.log has the traceback"))


_HANDLERS = {HttpProblem: _refused, CctermError: _failed, RequestValidationError: _invalid, HTTPException: _unknown, Exception: _defect}
