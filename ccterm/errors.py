"""The tree of errors that ccterm raises; each says what happened and how to fix it.

CctermError
├── UsageError            the caller asked for something that cannot be: exit 2
│   ├── RemoteError       a repository URL or path that is refused
│   ├── BranchError       a branch name that is refused
│   ├── SettingsError     a settings file, variable or flag that is invalid
│   ├── TaskFileError     a batch file that does not parse; has line and column
│   └── UnknownRun        no run, or several, by that name
├── PreflightError        something that a run needs is missing: exit 3
│   └── NoKeyring         this machine, or this session, has no keyring
├── StateError            the state directory or its store cannot be used
├── DaemonError           the process that carries runs out does not answer as it should
└── StepError             a step could not be carried out; ends its run with a cause
"""

from ccterm.causes import Cause

__all__ = [
    "CctermError", "UsageError", "RemoteError", "BranchError", "SettingsError", "TaskFileError", "UnknownRun",
    "PreflightError", "NoKeyring", "StateError", "DaemonError", "StepError",
]  # fmt: skip


class CctermError(Exception):
    """Base of all errors that ccterm raises on purpose.

    message: what happened, one clause without a full stop. fix: what the user can do about it, or "".
    """

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message, fix)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}; {self.fix}" if self.fix else self.message


class UsageError(CctermError):
    """The request itself cannot be carried out, whatever the state of the machine."""


class RemoteError(UsageError):
    """A repository URL or path is refused."""


class BranchError(UsageError):
    """A branch name is refused."""


class SettingsError(UsageError):
    """A settings file, an environment variable or a flag is invalid."""


class TaskFileError(UsageError):
    """A batch file does not parse; line and column count from 1."""

    def __init__(self, message: str, fix: str = "", *, line: int = 1, column: int = 1) -> None:
        super().__init__(message, fix)
        self.line = line
        self.column = column


class UnknownRun(UsageError):
    """No run, or more than one, has that id or prefix."""


class PreflightError(CctermError):
    """Something that a run needs is missing on this machine."""


class NoKeyring(PreflightError):
    """There is no keyring."""


class StateError(CctermError):
    """The state directory or its store cannot be read or written."""


class DaemonError(CctermError):
    """The daemon does not answer as it should."""


class StepError(CctermError):
    """A step could not be carried out.

    cause: how the run ends. reason: a finer code for programs, such as "auth" under Cause.PUSH.
    """

    def __init__(self, cause: Cause, message: str, fix: str = "", *, reason: str = "") -> None:
        super().__init__(message, fix)
        self.cause = cause
        self.reason = reason
