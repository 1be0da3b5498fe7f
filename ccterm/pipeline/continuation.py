"""What a run takes over from the one that it continues: its conversation, and its work where that was not delivered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ccterm.draft import require_message
from ccterm.errors import UsageError
from ccterm.events import Spent
from ccterm.models import Mode, Run, RunId, Task
from ccterm.proof import Delivered
from ccterm.remotes import check_branch
from ccterm.state_dir import StateDir
from ccterm.values import Terminal

CONVERSATION = "session.jsonl"
"""Name of the file, in a run's directory, that holds the agent's conversation."""
PROJECT = "-ccterm"
"""The directory, below .claude/projects in an agent's HOME, in which it finds an earlier conversation: the CLI looks in all of them."""


@dataclass(frozen=True)
class EarlierWork:
    """A commit that is kept in `directory` and was not delivered. base: what it was made on; None = an empty repository."""

    directory: Path
    commit: str
    base: str | None


@dataclass(frozen=True)
class Continuation:
    """What a run takes over. The default is a run that continues none."""

    session_id: str | None = None
    """The conversation that goes on; None = a new one begins."""
    conversation: Path | None = None
    """The kept file of that conversation, None = it was not kept."""
    spent: Spent = field(default_factory=lambda: Spent(cost_usd=0.0))
    """What the conversation had cost before."""
    work: EarlierWork | None = None

    def placed(self, own: Path, *, private_home: bool) -> Mapping[str, Path]:
        """Return which file an agent's private HOME holds for the conversation: relative path -> source.

        own: the user's ~/.claude, where an agent without a private HOME finds it. Raises UsageError when it is not where it has to be.
        """
        if self.session_id is None:
            return {}
        name = f"{self.session_id}.jsonl"
        if private_home and self.conversation is not None:
            return {f".claude/projects/{PROJECT}/{name}": self.conversation}
        if private_home or not any(own.glob(f"projects/*/{name}")):
            where = "with the run" if private_home else f"in {own}"
            raise UsageError(f"the conversation {self.session_id} is no longer {where}", "continue with --fresh, which begins a new one")
        return {}


NOTHING_EARLIER = Continuation()
"""What a run takes over that continues none."""


@dataclass(frozen=True)
class Earlier:
    """The run that another one continues. spent: what their conversation had cost with its end."""

    run: Run
    spent: Spent

    @classmethod
    def of(cls, run: Run, get: Callable[[RunId], Run]) -> "Earlier | None":
        """Return the run that a run continues, None if there is none. get: reads a run from the store, which blocks. Raises what it raises."""
        if run.continues is None:
            return None
        at = before = get(run.continues)
        spent = _spent(at)
        while at.continues and at.session_id == run.session_id and (at := get(at.continues)).session_id == run.session_id:
            spent = _plus(spent, _spent(at))
        return cls(before, spent)

    def taken_over(self, by: Run, state: StateDir) -> Continuation:
        """Return what another run takes over. Raises UsageError when work that was kept is gone. Blocks."""
        kept = state.run(self.run.id) / CONVERSATION
        return Continuation(by.session_id, kept if kept.is_file() else None, self.spent, undelivered(self.run))


def _spent(run: Run) -> Spent:
    return Spent(cost_usd=run.cost_usd, input=run.tokens.input, output=run.tokens.output, cache=run.tokens.cache)


def _plus(one: Spent, other: Spent) -> Spent:
    counts = {name: getattr(one, name) + getattr(other, name) for name in ("input", "output", "cache")}
    return Spent(cost_usd=one.cost_usd + other.cost_usd, **counts)


def began(run: Run) -> bool:
    """Return whether the agent of a run began to work."""
    return any(step.name == "agent" for step in run.steps)


def undelivered(run: Run) -> EarlierWork | None:
    """Return a run's commit that was not delivered. Raises UsageError when it is no longer where it was kept."""
    if run.salvage is None or run.salvage.delivered or Delivered.of(run) or run.commit is None or run.salvage.commit is None:
        return None
    directory = Path(run.salvage.directory)
    if not (directory / "work.bundle").is_file():
        raise UsageError(f"the work of run {run.label} is no longer in {directory}", f"ccterm retry {run.ref} starts its task again")
    return EarlierWork(directory, run.commit, run.base_sha)


def continued_task(before: Run, text: str, branch: str | None, *, fresh: bool) -> Task:
    """Return the task that goes on with a run's. branch: a new one, from the commit that the run started from. Raises UsageError, BranchError."""
    task = before.task
    require_message(text)
    if before.session_id is None and not fresh:
        raise UsageError(
            f"run {before.label} has no conversation that could go on",
            f"ccterm continue --fresh {before.ref} begins a new one, which is told what came of it",
        )
    changes: dict[str, object] = {"prompt": _told(before, text) if fresh else text, "base_given": False, "message": None, "terminal": None}
    said = before.summary.strip().split("\n", 1)[0]
    changes["notes"] = (f"goes on with run {before.label}{': ' if said else ''}{said}",)
    if branch is not None and branch != task.branch:
        if task.mode is Mode.TESTING:
            raise UsageError(f"run {before.label} works on a directory, not on a branch", "leave out --branch")
        changes |= {"branch": check_branch(branch), "base": before.base_sha, "base_given": True}
    return task.model_copy(update=changes)


def shell_task(before: Run, terminal: Terminal) -> Task:
    """Return the task of a shell that goes on where a run's agent stopped."""
    told = f"a shell in place of the agent of run {before.label}; what changes is kept, nothing is pushed"
    return before.task.model_copy(update={"terminal": terminal, "hold": False, "base_given": False, "message": None, "notes": (told,)})


def _told(before: Run, text: str) -> str:
    """Return a prompt that tells a new conversation what came before."""
    parts = (text, f"This goes on with earlier work, of which you see the files. Its task was:\n\n{before.task.prompt}")
    summary = (f"What came of it, in the words of the agent that did it:\n\n{before.summary}",) if before.summary else ()
    return "\n\n".join((*parts, *summary))
