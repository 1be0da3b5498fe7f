"""Turns what ended a command into one sentence on stderr and an exit code."""

import logging
import sys

from ccterm import causes
from ccterm.causes import ExitCode
from ccterm.errors import CctermError, PreflightError, StateError, StepError, TaskFileError, UsageError

_log = logging.getLogger(__name__)


def explain(error: BaseException) -> ExitCode:
    """Say what happened and return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        _say("cancelled")
        return ExitCode.CANCELLED
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # the reader of our stdout went away: nothing to say, and nobody to say it to
        return ExitCode.OK
    if isinstance(error, CctermError):
        _say(str(error))
        return code_of(error)
    _log.error("defect", exc_info=error)
    _say(f"{type(error).__name__}: {error}; this is a defect of ccterm, please report it")
    return ExitCode.FAILED


def _say(text: str) -> None:
    sys.stderr.write(f"ccterm: {text}\n")


def code_of(error: CctermError) -> ExitCode:
    """Return the exit code of an expected error."""
    match error:
        case UsageError() | TaskFileError():
            return ExitCode.USAGE
        case PreflightError() | StateError():
            return ExitCode.PREFLIGHT
        case StepError(cause=cause):
            return causes.exit_code(cause)
        case _:
            return ExitCode.FAILED
