"""Turns what ended a command into one sentence on stderr and an exit code."""

import logging
import sys

from ccterm.causes import ExitCode
from ccterm.errors import CctermError, PreflightError, StateError, StepError, TaskFileError, UsageError
from ccterm import causes

_log = logging.getLogger(__name__)


def explain(error: BaseException) -> ExitCode:
    """Say what happened and return the exit code. Re-raises what nobody foresaw, after saying that it is a defect."""
    if isinstance(error, KeyboardInterrupt):
        print("ccterm: cancelled", file=sys.stderr)
        return ExitCode.CANCELLED
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # the reader of our stdout went away: nothing to say, and nobody to say it to
        return ExitCode.OK
    if isinstance(error, CctermError):
        print(f"ccterm: {error}", file=sys.stderr)
        return code_of(error)
    _log.exception("defect", exc_info=error)
    print(f"ccterm: {type(error).__name__}: {error}; this is a defect of ccterm, please report it", file=sys.stderr)
    return ExitCode.FAILED


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
