"""What the OpenAPI document says of bodies and answers: made from the fields of a task and from the values that are sent."""

from collections.abc import Mapping
from typing import Any

from ccterm.api.field_docs import described_schema
from ccterm.api.permissions import SHARED_FIELDS, TASK_FIELDS
from ccterm.api.problems import MEDIA_TYPE, SCHEMA, TITLES
from ccterm.models import CheckResult, Run
from ccterm.task_fields import FIELDS
from ccterm.values import Value

Schema = dict[str, Any]
_KINDS: Mapping[str, Schema] = {
    "text": {"type": "string", "minLength": 1},
    "texts": {"type": ["string", "array"], "minLength": 1, "items": {"type": "string", "minLength": 1}},
    "number": {"type": "number", "exclusiveMinimum": 0},
    "count": {"type": "integer", "minimum": 1},
    "switch": {"type": "boolean"},
}
_ABOUT_A_RUN = (
    "show_run", "run_events", "diff", "patch", "cancel", "steer", "hold", "release", "retry", "continue_", "push", "apply", "undo",
)  # fmt: skip
_APPLY = {
    "type": "boolean",
    "default": True,
    "description": "Without a branch: bring the changes into the working copy unless a rule refuses them; false keeps them until they are applied",
}
RUN_DOCUMENT: Schema = {"$ref": "#/components/schemas/Run"}
BATCH_DOCUMENT: Schema = {
    "type": "object",
    "required": ["batch", "counts", "runs"],
    "properties": {
        "batch": {"type": "string"},
        "counts": {
            "type": "object",
            "additionalProperties": {"type": "integer"},
            "description": "How many runs there are, and in which states",
        },
        "runs": {"type": "array", "items": RUN_DOCUMENT},
    },
}
RUNS_DOCUMENT: Schema = {
    "type": "object",
    "required": ["runs", "next"],
    "properties": {"runs": {"type": "array", "items": RUN_DOCUMENT}, "next": {"type": ["string", "null"], "description": "The next page"}},
}
DIFF_DOCUMENT: Schema = {
    "type": "object",
    "required": ["run", "changes", "patch"],
    "properties": {
        "run": {"type": "string"},
        "changes": {"anyOf": [{"$ref": "#/components/schemas/Changes"}, {"type": "null"}]},
        "patch": {"type": "string"},
    },
}
CHECKS_DOCUMENT: Schema = {"type": "array", "items": {"$ref": "#/components/schemas/CheckResult"}}
CHECKS_EXAMPLE = [
    {"name": "git", "group": "local", "status": "pass", "text": "git 2.39.5", "fix": "", "seconds": 0.015},
    {
        "name": "token github.com",
        "group": "git",
        "status": "warn",
        "text": "no token for github.com: a run can push there only by ssh",
        "fix": "gh auth login, or set GH_TOKEN",
        "seconds": 0.016,
    },
]
_REFUSAL = {
    "type": "urn:ccterm:problem:invalid-body",
    "title": TITLES[422],
    "status": 422,
    "detail": 'unknown field "brnch"',
    "action": "did you mean branch?",
}
_REFUSED: dict[int | str, Schema] = {
    "4XX": {"description": "Refused, and why", "content": {MEDIA_TYPE: {"schema": SCHEMA, "example": _REFUSAL}}}
}
EVENT_STREAM: dict[int | str, Schema] = {
    200: {
        "description": "Events, each with its kind, and the event of `ccterm logs --json` as its data",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    **_REFUSED,
}
PATCH: dict[int | str, Schema] = {200: {"description": "The patch", "content": {"text/plain": {"schema": {"type": "string"}}}}, **_REFUSED}


def answers(schema: Schema, *statuses: int, example: object = None) -> dict[int | str, Schema]:
    """Return the answers of a route: a document, or a refusal."""
    names = {200: "Done, or ended", 202: "Accepted, and still under way"}
    content = {"application/json": {"schema": schema, **({} if example is None else {"example": example})}}
    return {**{status: {"description": names[status], "content": content} for status in statuses}, **_REFUSED}


def new_run_answers(*statuses: int) -> dict[int | str, Schema]:
    """Return the answers of a route that starts a run, with what can be asked about it."""
    links = {name: {"operationId": name, "parameters": {"run": "$response.body#/id"}} for name in _ABOUT_A_RUN}
    found = answers(RUN_DOCUMENT, *statuses)
    return {**found, **{status: {**found[status], "links": links} for status in statuses}}


def json_body(kind: type[Value], example: Mapping[str, object] | None = None) -> Schema:
    """Return what a route says of a body that is a value."""
    schema = kind.model_json_schema()
    required = bool(schema.get("required"))
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema, "example": example or {}}}}}


def document_schemas() -> Mapping[str, Schema]:
    """Return the schemas of the run document, of a check's result, and of their parts, by name, with what each field means."""
    found: dict[str, Schema] = {}
    for kind in (Run, CheckResult):
        schema = described_schema(kind, "#/components/schemas/{model}")
        found |= {**schema.pop("$defs", {}), kind.__name__: schema}
    return found


def _field(name: str) -> Schema:
    if name == "apply":
        return _APPLY
    field = FIELDS[name]._replace(default="the first that is served") if name == "repo" else FIELDS[name]
    chosen: Schema = {"enum": list(field.choices)} if field.choices else {}
    return {**_KINDS[field.kind], **chosen, "description": field.for_programs}


def task_properties() -> Mapping[str, Schema]:
    """Return what a task in a body may have, each field with its description."""
    return {name: _field(name) for name in TASK_FIELDS}


def _object(names: tuple[str, ...], *required: str, **more: Schema) -> Schema:
    properties = {**{name: _field(name) for name in names}, **more}
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


def _body(schema: Schema, **examples: object) -> Schema:
    shown = {name.replace("_", " "): {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "examples": shown}}}}


_TASK = {"task": "Your task description", "execution_mode": "dagger", "model": "sonnet"}
RUN_BODY = _body(
    _object(TASK_FIELDS, "task"),
    a_pushed_branch={**_TASK, "branch": "feature/my-task"},
    changes_in_the_working_copy=_TASK,
)
BATCH_SCHEMA = _object(
    SHARED_FIELDS,
    "tasks",
    tasks={
        "type": "array",
        "minItems": 1,
        "description": "One run each; what it says itself counts before what is said beside them",
        "items": _object(TASK_FIELDS, "task"),
    },
    max_concurrent={"type": "integer", "minimum": 1, "maximum": 9999, "description": "How many of these tasks run at once"},
)
"""Several tasks, and what all of them share."""
BATCH_BODY = _body(
    BATCH_SCHEMA,
    three_branches={
        "tasks": [{"task": f"Task {n}", "branch": f"feature/task-{n}"} for n in (1, 2, 3)],
        "execution_mode": "dagger",
        "max_concurrent": 4,
    },
)
