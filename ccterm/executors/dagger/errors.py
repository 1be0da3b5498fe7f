"""Maps the SDK's exceptions to ccterm's errors. However an engine goes away, the result is one error."""

import re
from collections.abc import Awaitable, Sequence
from typing import TypeVar

import dagger
import httpx

from ccterm.causes import Cause
from ccterm.errors import PreflightError, StepError
from ccterm.executors.base import ServiceContainer
from ccterm.machine_errors import machine_error, reported_error

T = TypeVar("T")
GONE = (dagger.TransportError, dagger.ClientConnectionError, httpx.HTTPError, ConnectionError)
"""What a query raises when its session or its engine is gone."""
_CLOSING = (
    "session is closing",
    "client is closing",
    "connection refused",
    "transport is closing",
    "context canceled",
    "not found in session",
)
_ELSEWHERE = ("failed to resolve image", "failed to do request")
"""What is refused then is a connection to somebody else."""
_ALIASED = re.compile(r"start \S+ \(aliased as ([^)]+)\): (.*)", re.DOTALL)
_MISSING = ("no such file or directory", "not a directory")
RUN_OPEN = 'let the run reach every host (egress = "open"), or use another engine'
"""What helps where a network cannot be closed."""
_FORBIDDEN = "security.insecure is not allowed"
_OFFLINE = "check the network; offline, name the tarball of an image in CCTERM_BASE_IMAGE (docker save makes one)"
_SHOW = "ccterm image build shows all of its output"
_NETWORK_WORDS = ("resolve", "network", "connect", "timed out", "temporary failure", "unreachable", "enotfound", "eai_again")


def is_gone(error: BaseException) -> bool:
    """Return whether an error means that the session or its engine is gone; a closing session reports that in several ways."""
    if isinstance(error, GONE):
        return True
    text = str(error).lower()
    return (
        isinstance(error, dagger.QueryError) and not any(words in text for words in _ELSEWHERE) and any(words in text for words in _CLOSING)
    )


def is_missing(error: dagger.QueryError, paths: Sequence[str]) -> bool:
    """Return whether an error only says that one of these paths is not there, or is no directory."""
    text = str(error)
    return any(path in text for path in paths) and any(words in text for words in _MISSING)


def service_error(services: Sequence[ServiceContainer], error: dagger.QueryError, said: str) -> StepError | None:
    """Return why a service beside a step could not start, or None when that is not what an error says. said: what it printed last."""
    if not services:
        return None
    text = first_line(error)
    if match := _ALIASED.match(text):
        name, why = match[1], match[2]
    elif named := next((service for service in services if service.image in text), None):
        name, why = named.alias, text
    else:
        return None
    message = f"the service {name} cannot start: {why}{f'; it said: {said}' if said else ''}"
    return StepError(Cause.ENGINE, message, f"fix [services.{name}] in the settings", reason="service")


def closing_forbidden(error: dagger.QueryError) -> StepError | None:
    """Return that an engine does not let boxes close their network, or None when that is not what an error says."""
    if _FORBIDDEN not in str(error):
        return None
    message = "this engine cannot close the network of a box: its configuration forbids root capabilities"
    return StepError(
        Cause.ENGINE, message, f"set security.insecureRootCapabilities in the engine's engine.json, or {RUN_OPEN}", reason="network"
    )


def engine_error(doing: str, error: BaseException) -> StepError:
    """Return an engine's error as the one that ends a run. doing: what was happening, as words that follow "while"."""
    if is_gone(error):
        return StepError(
            Cause.ENGINE, f"the Dagger engine went away while {doing}", "check that it is running (ccterm check)", reason="gone"
        )
    message = f"the Dagger engine failed while {doing}: {first_line(error)}"
    if found := machine_error(error) or reported_error("", str(error)):
        return StepError(found.cause, message, reason=found.reason)
    return StepError(Cause.ENGINE, message, "ccterm check")


def first_line(error: BaseException) -> str:
    """Return an engine's error message as one line, without its trace id."""
    lines = [line.strip() for line in str(error).split(" [traceparent:")[0].splitlines() if line.strip()]
    return lines[0][:500] if lines else type(error).__name__


async def image_query(query: Awaitable[T], doing: str) -> T:
    """Await a query about an image. Raises PreflightError in one sentence, StepError when the engine went away."""
    try:
        return await query
    except dagger.ExecError as error:
        last = " / ".join(line.strip() for line in (error.stderr or error.stdout).splitlines()[-4:] if line.strip())
        raise PreflightError(f"{doing} failed: {last or f'exit {error.exit_code}'}", _image_fix(last)) from error
    except dagger.DaggerError as error:
        if is_gone(error):
            raise engine_error(doing, error) from error
        raise PreflightError(f"{doing} failed: {first_line(error)}", _image_fix(str(error))) from error


def _image_fix(words: str) -> str:
    low = words.lower()
    if "no space left" in low:
        return "free some space on the engine's disk (dagger core engine local-cache prune)"
    return _OFFLINE if any(word in low for word in _NETWORK_WORDS) else _SHOW
