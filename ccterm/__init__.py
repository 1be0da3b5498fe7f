"""Launch many Claude Code agents at once; each one's work comes back as a pushed branch, or into your working copy.

The Python API is what `__all__` names, here and in `ccterm.errors` and `ccterm.events`; `ccterm help python` explains it. Every other module
is private, whatever its name, and may change with any version.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccterm import errors, events
    from ccterm.causes import Cause
    from ccterm.daemon import AgentService, connect, run
    from ccterm.draft import Draft, DraftDefaults, DraftFields
    from ccterm.events import Event
    from ccterm.models import Allowances, CheckResult, ExecutionMode, Mode, Run, RunId, RunRef, State, Task
    from ccterm.service.awaited_runs import Completed, OnEvent
    from ccterm.service.protocol import Service
    from ccterm.values import Changes, Finding, Limits, PendingChange, PushedBranch, Salvage, StepRecord, Sync, Tokens, Verdict

__version__ = "0.1.0"
PROJECT_URL = ""
"""Where the project lives; "" while it has no public address. The same as in [project.urls]."""
__all__ = [
    "AgentService", "Service", "connect", "run",
    "Draft", "DraftDefaults", "DraftFields", "Allowances", "ExecutionMode",
    "Run", "RunId", "RunRef", "State", "Cause", "Mode", "Task", "Limits", "Completed", "OnEvent",
    "Changes", "Finding", "PendingChange", "PushedBranch", "Salvage", "StepRecord", "Sync", "Tokens", "Verdict", "CheckResult",
    "Event", "errors", "events", "__version__",
]  # fmt: skip
_HOMES = {
    "causes": ("Cause",),
    "daemon": ("AgentService", "connect", "run"),
    "draft": ("Draft", "DraftDefaults", "DraftFields"),
    "events": ("Event",),
    "models": ("Allowances", "CheckResult", "ExecutionMode", "Mode", "Run", "RunId", "RunRef", "State", "Task"),
    "service.awaited_runs": ("Completed", "OnEvent"),
    "service.protocol": ("Service",),
    "values": ("Changes", "Finding", "Limits", "PendingChange", "PushedBranch", "Salvage", "StepRecord", "Sync", "Tokens", "Verdict"),
}


if not TYPE_CHECKING:  # a type checker should see no names but those above

    def __getattr__(name: str) -> object:
        """Import the public names when they are first asked for: `ccterm --help` needs none of them."""
        from importlib import import_module

        if name in ("errors", "events"):
            return import_module(f"{__name__}.{name}")
        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{home}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
