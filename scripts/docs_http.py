"""The parts of docs/http.md that come from the code."""

from collections.abc import Callable, Iterator, Mapping

from ccterm.api.app import make_app, openapi
from ccterm.api.permissions import SHARED_FIELDS, TASK_FIELDS
from ccterm.api.schemas import task_properties
from scripts.docs_tables import table


def routes_part() -> str:
    """Return every route with what it does and what it takes."""
    return table(("route", "takes", "what it does"), _routes())


def _routes() -> Iterator[tuple[str, str, str]]:
    for path, operations in openapi(make_app())["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {}).get("properties", {})
            asked = [f"`?{each['name']}`" for each in operation.get("parameters", ()) if each["in"] == "query"]
            of_task = [name for name in body if name in TASK_FIELDS and len(body) >= len(SHARED_FIELDS)]
            given = [*(["a task's fields"] if of_task else []), *(f"`{name}`" for name in body if name not in of_task), *asked]
            yield f"`{method.upper()} {path.replace('{run}', 'RUN')}`", ", ".join(given), " ".join(operation["description"].split())


def fields_part() -> str:
    """Return the fields of a task."""
    return table(("field", "what it means"), ((f"`{name}`", schema["description"]) for name, schema in task_properties().items()))


PARTS: Mapping[str, Callable[[], str]] = {"http routes": routes_part, "http fields": fields_part}
