"""Turns what ended a command into one sentence on stderr, its fix on a line of its own, and an exit code."""

import logging
from contextlib import suppress

from ccterm import PROJECT_URL, causes
from ccterm.causes import ExitCode
from ccterm.cli.streams import ReaderGone, print_error
from ccterm.errors import CctermError, PreflightError, StateError, StepError, TaskFileError, UsageError
from ccterm.machine_errors import machine_error

_log = logging.getLogger(__name__)


def explain(error: BaseException) -> ExitCode:
    """Print what happened and return the exit code. Of a group the first defect counts, or else the first error."""
    error = _one_of(error)
    if isinstance(error, KeyboardInterrupt):
        print_error("cancelled")
        return ExitCode.CANCELLED
    if isinstance(error, ReaderGone):
        return ExitCode.OK
    if isinstance(error, CctermError):
        print_error(error.message, error.fix)
        return code_of(error)
    if found := machine_error(error):
        print_error(_words(error), found.fix)
        return ExitCode.FAILED
    _record(error)
    where = f" at {PROJECT_URL}/issues" if PROJECT_URL else ""
    print_error(f"{type(error).__name__}: {error}", f"this is a bug in ccterm, please report it{where}")
    return ExitCode.FAILED


def _one_of(error: BaseException) -> BaseException:
    if not isinstance(error, BaseExceptionGroup):
        return error
    members = [_one_of(member) for member in error.exceptions]
    return next((each for each in members if not isinstance(each, CctermError) and not machine_error(each)), members[0])


def _words(error: BaseException) -> str:
    if not isinstance(error, OSError):
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)


def _record(error: BaseException) -> None:
    """Write a defect with its traceback to the log, where there is one."""
    if not logging.getLogger().handlers:  # it ended before its command set the log up
        from ccterm.cli.console import log_to, state_dir

        with suppress(CctermError, OSError, RuntimeError):
            log_to(state_dir().path)
    if logging.getLogger().handlers:
        _log.error("defect", exc_info=error)


def code_of(error: CctermError) -> ExitCode:
    """Return the exit code of an expected error."""
    match error:
        case UsageError() | TaskFileError():
            return ExitCode.USAGE
        case PreflightError() | StateError():
            return ExitCode.PREFLIGHT
        case StepError(cause=cause, reason=reason):
            return causes.exit_code(cause, reason)
        case _:
            return ExitCode.FAILED
