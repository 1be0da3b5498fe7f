"""Refusals as problem documents (RFC 9457): what happened, why, and what to do."""

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from ccterm.errors import CctermError, DaemonError, PreflightError, StateError, StepError, UnknownRun, UsageError
from ccterm.output.own_text import clean_text
from ccterm.problems import problem
from ccterm.service.wire import WireError
from ccterm.values import Value

V = TypeVar("V", bound=Value)
MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "The request is not understood",
    401: "The token is missing or wrong",
    403: "This is not allowed",
    404: "There is no such thing",
    405: "The method is not allowed here",
    408: "The request took too long",
    409: "This cannot be done now",
    411: "The length of the body is missing",
    413: "The body is too large",
    414: "The address is too long",
    415: "The body is not JSON",
    421: "The request is for another server",
    422: "The request cannot be carried out",
    429: "Too many requests",
    431: "The headers are too long",
    500: "This is a defect of ccterm",
    503: "The daemon cannot be asked",
}
SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "action"],
    "properties": {
        "type": {"type": "string", "description": "Names the kind of problem: urn:ccterm:problem:NAME"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened, in one sentence"},
        "action": {"type": "string", "description": "What to do about it; may be empty"},
        "cause": {"type": "string", "description": "Why a step failed, as in run documents"},
        "reason": {"type": "string", "description": "A finer code, as in run documents"},
    },
}


class HttpProblem(Exception):
    """A request is refused. kind: names the kind of problem. detail: what happened, one clause. action: what to do about it, or ""."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        action: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        cause: str = "",
        reason: str = "",
    ) -> None:
        super().__init__(status, kind, detail, action)
        self.status, self.kind, self.detail, self.action = status, kind, detail, action
        self.headers = dict(headers or {})
        self.cause, self.reason = cause, reason

    @property
    def body(self) -> bytes:
        """The document."""
        document: dict[str, object] = {
            "type": f"urn:ccterm:problem:{self.kind}",
            "title": TITLES.get(self.status, "The request is refused"),
            "status": self.status,
            "detail": clean_text(self.detail),
            "action": clean_text(self.action),
        }
        document |= {name: value for name, value in (("cause", self.cause), ("reason", self.reason)) if value}
        return json.dumps(document, ensure_ascii=False).encode(errors="replace")


def problem_of(error: CctermError, *, of_run: bool) -> HttpProblem:
    """Return an expected error as a problem. of_run: what was asked concerns a run that exists, so that another time it may be possible."""
    wire = WireError.of(error)
    kind = re.sub(r"(?<!^)(?=[A-Z])", "-", wire.type).lower()
    headers = {"Retry-After": "2"} if isinstance(error, DaemonError) else None
    action = "GET /api/v1/runs lists them; RUN is a run's id, its number, or last" if of_run and isinstance(error, UnknownRun) else wire.fix
    return HttpProblem(
        _status(error, of_run=of_run), kind, wire.message, action, headers=headers, cause=wire.cause or "", reason=wire.reason
    )


def _status(error: CctermError, *, of_run: bool) -> int:
    match error:
        case UnknownRun():
            return 404
        case UsageError():
            return 409 if of_run else 422
        case PreflightError() | StepError():
            return 409
        case DaemonError() | StateError():
            return 503
        case _:
            return 500


def checked(given: Mapping[str, Any], kind: type[V]) -> V:
    """Return what was given as a value. Raises HttpProblem 422 with a sentence."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        found = problem(error, kind)
        raise HttpProblem(422, "invalid-body", found.text.replace("the file", "the body"), found.fix) from error
