"""What the SDK raises, as the errors of ccterm: an engine that is gone is one error, however it went."""

import dagger
import httpx

from ccterm.causes import Cause
from ccterm.errors import StepError

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


def is_gone(error: BaseException) -> bool:
    """Return whether an error says that the session or its engine is gone, which a dying session says in several ways."""
    if isinstance(error, GONE):
        return True
    return isinstance(error, dagger.QueryError) and any(word in str(error).lower() for word in _CLOSING)


def engine_fault(what: str, error: BaseException) -> StepError:
    """Return an error of the engine as the one that ends a run."""
    if is_gone(error):
        return StepError(Cause.ENGINE, f"the Dagger engine went away while {what}", "see whether it runs (ccterm check)", reason="gone")
    return StepError(Cause.ENGINE, f"the Dagger engine failed while {what}: {first_line(error)}", "ccterm check")


def first_line(error: BaseException) -> str:
    """Return what an error of the engine says, for people: one line, without its trace id."""
    lines = [line.strip() for line in str(error).split(" [traceparent:")[0].splitlines() if line.strip()]
    return lines[0][:500] if lines else type(error).__name__
