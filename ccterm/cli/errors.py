"""Turns what ended a command into one sentence on stderr and an exit code."""

import logging
import sys

from ccterm import causes
from ccterm.causes import ExitCode
from ccterm.errors import CctermError, PreflightError, StateError, StepError, TaskFileError, UsageError

_log = logging.getLogger(__name__)


def explain(error: BaseException) -> ExitCode:
    """Print what happened and return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        _print("cancelled")
        return ExitCode.CANCELLED
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # the reader of our stdout went away: nobody wants to know
        return ExitCode.OK
    if isinstance(error, CctermError):
        _print(str(error))
        return code_of(error)
    _log.error("defect", exc_info=error)
    _print(f"{type(error).__name__}: {error}; this is a bug in ccterm, please report it")
    return ExitCode.FAILED


def _print(text: str) -> None:
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
