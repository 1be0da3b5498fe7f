"""What can be done to a run now; and where something cannot, why, in words for the user."""

from collections.abc import Callable, Mapping

from ccterm.models import Mode, Run, State
from ccterm.proof import uncommitted, work_kept
from ccterm.settings.egress import can_be_listed
from ccterm.tui.run_view import RunView

NO_RUN = "no run is chosen"
NO_OTHER_RUN = "there is no other run"
NOTHING_TO_ATTEND = "no run needs you"
NO_OTHER_TO_ATTEND = "no other run needs you"
_ENDED, _NOT_ENDED, _QUEUED = "has ended", "has not ended yet", "has not started yet"


def why_not(action: str, view: RunView | None) -> str:
    """Return why an action cannot be done to a run now, without naming the run; "" when it can be, or is none that depends on a run."""
    if action in _NEEDS_A_RUN and view is None:
        return NO_RUN
    return _REASONS[action](view.run) if action in _REASONS and view else ""


def no_such_pane(count: int) -> str:
    """Return why a number picks no pane. count: how many there are."""
    return f"there {'is 1 pane' if count == 1 else f'are {count} panes'}; tab goes through all runs" if count else "there is no pane"


def web_address(run: Run) -> str:
    """Return the web page of a pushed branch, or "" when its remote has none."""
    if run.pushed is None or not run.pushed.remote.startswith("https://"):
        return ""
    return f"{run.pushed.remote.removesuffix('.git')}/tree/{run.pushed.ref.removeprefix('refs/heads/')}"


def allowable_hosts(run: Run) -> list[str]:
    """Return the hosts that a run was refused and further runs could reach, the last first."""
    return [each.host for each in reversed(run.refused_hosts) if each.host not in run.allowed_hosts and can_be_listed(each.host)]


def _talk(run: Run) -> str:
    if run.state is State.RUNNING:
        return ""
    return f"{_ENDED}; m goes on with it" if run.state.final else _QUEUED


def _decide(run: Run) -> str:
    return "" if run.permission_requests else "asks for no permission"


def _once_ended(run: Run) -> str:
    return "" if run.state.final else _NOT_ENDED


def _push(run: Run) -> str:
    if run.task.mode is Mode.TESTING:
        return "changes a working copy and has no branch; a applies its changes"
    if not run.state.final:
        return f"{_NOT_ENDED}, and pushes its work itself"
    if work_kept(run) and (run.commit is not None or uncommitted(run)):
        return ""
    return "is pushed already" if run.pushed else "left no work to push"


def _apply(run: Run) -> str:
    if run.task.mode is Mode.PIPELINE:
        return "has a branch of its own; P pushes what was kept of it"
    if run.awaits_apply or (run.state.final and uncommitted(run)):
        return ""
    return "is applied already" if run.synced else "left no changes to apply" if run.state.final else _NOT_ENDED


def _undo(run: Run) -> str:
    if run.synced is None:
        return "has applied nothing that could be undone"
    return "is undone already" if run.synced.undone else ""


def _fetch(run: Run) -> str:
    return "" if run.commit is not None or work_kept(run) or run.side else "has no commit yet that could be fetched"


def _browse(run: Run) -> str:
    if run.pushed is None:
        return "has pushed no branch"
    return "" if web_address(run) else "pushed to a remote that has no web page"


def _review(run: Run) -> str:
    return _once_ended(run) or ("is reviewed already" if run.reviewed else "")


def _diff(run: Run) -> str:
    if run.state is State.RUNNING:
        return ""  # what its agent has changed up to now
    return "" if run.changes is not None or work_kept(run) or run.side else "has no commit yet; its diff appears once its work is committed"


def _allow_host(run: Run) -> str:
    if run.task.egress.mode != "list":
        return "may reach every host"
    return "" if allowable_hosts(run) else "was refused no host that could be allowed"


_REASONS: Mapping[str, Callable[[Run], str]] = {
    "steer": _talk,
    "hold": _talk,
    "decide": _decide,
    "refuse": _decide,
    "cancel": lambda run: f"{_ENDED} already" if run.state.final else "",
    "continue_run": _once_ended,
    "retry": _once_ended,
    "push": _push,
    "apply": _apply,
    "undo": _undo,
    "fetch": _fetch,
    "browse": _browse,
    "review": _review,
    "diff": _diff,
    "allow_host": _allow_host,
}
"""Action -> why it cannot be done to a run, or ""."""
_NEEDS_A_RUN = {*_REASONS, "copy_id", "zoom", "pin", "select"}
