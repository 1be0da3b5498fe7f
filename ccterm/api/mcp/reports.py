"""What tools answer with: short enough for a model to read, and the same for every tool."""

from datetime import datetime

from ccterm.causes import Cause
from ccterm.models import Run, RunId, State
from ccterm.proof import work_kept
from ccterm.values import Changes, PushedBranch, Value


class RunReport(Value):
    """What became of a run so far."""

    run: str
    """Its number: what other tools take as `run`."""
    id: RunId
    state: State
    """queued, running, succeeded, failed or cancelled."""
    held: str | None
    """Why a queued run does not start yet."""
    repo: str
    branch: str | None
    """Where its work is pushed; null = its changes come into the working copy `repo`."""
    cause: Cause | None
    """Why it failed."""
    reason: str
    summary: str
    """How it ended, in words."""
    action: str
    """What to do next, as a command of a person."""
    waits_until: datetime | None
    """The agent waits for a message (`steer`), or for a person's permission, until then."""
    asks: tuple[str, ...]
    """What it asks permission for; only a person may answer, in the terminal."""
    denied: tuple[str, ...]
    """What the agent was not allowed to do, the first of it; such a run is no clean success, though its work is delivered."""
    asked: bool
    """The agent's last message is a question."""
    changes: Changes | None
    pushed: PushedBranch | None
    applied: int | None
    """How many files changed in the working copy."""
    kept: bool
    """Work that was not delivered is kept: `diff` shows it, `push` or a person delivers it."""
    network: str
    """Which hosts its programs may reach: open, recorded, or how many hosts."""
    refused_hosts: tuple[str, ...]
    """Hosts that they asked for and could not reach; only a person may allow more."""
    cost_usd: float
    turns: int
    seconds: float | None

    @classmethod
    def of(cls, run: Run) -> "RunReport":
        """Return what there is to say of a run."""
        return cls(
            run=run.ref,
            id=run.id,
            state=run.state,
            held=run.held,
            repo=run.task.repo,
            branch=run.task.branch,
            cause=run.cause,
            reason=run.reason,
            summary=run.summary,
            action=run.action,
            waits_until=run.waiting_until,
            asks=tuple(each.what for each in run.permission_requests),
            denied=run.denied,
            asked=run.asked,
            changes=run.changes,
            pushed=run.pushed,
            applied=run.synced.files if run.synced and not run.synced.undone else None,
            kept=work_kept(run),
            network=run.task.egress.text,
            refused_hosts=tuple(each.host for each in run.refused_hosts),
            cost_usd=run.cost_usd,
            turns=run.turns,
            seconds=run.seconds,
        )


class RunReports(Value):
    """Several runs. ended: all of them have."""

    ended: bool
    runs: tuple[RunReport, ...]

    @classmethod
    def of(cls, runs: list[Run]) -> "RunReports":
        """Return what there is to say of runs."""
        return cls(ended=all(run.state.final for run in runs), runs=tuple(RunReport.of(run) for run in runs))


class LogPart(Value):
    """Lines of a run's transcript. next: what to give as `after` for the lines that follow. ended: there will be none after them."""

    run: str
    lines: tuple[str, ...]
    next: int
    ended: bool


class PatchPart(Value):
    """A part of what a run changed, as a unified diff. next: what to give as `offset` for the rest; null = there is none."""

    run: str
    changes: Changes | None
    patch: str
    next: int | None


class SteerAnswer(Value):
    """Whether a message was taken. taken: null = not yet, the agent is busy with a tool and takes it up after that."""

    run: str
    taken: bool | None
    detail: str
