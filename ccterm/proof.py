"""What became of a run's work, and why its boxes may be removed: an executor removes them for a proof, and for nothing else."""

from dataclasses import dataclass
from pathlib import Path

from ccterm.errors import UsageError
from ccterm.models import Run, State


@dataclass(frozen=True)
class Delivered:
    """The work arrived: the remote confirmed the push, or the changes are in the working copy."""

    @classmethod
    def of(cls, run: Run) -> "Delivered | None":
        """Return the proof that a run's record holds, or None."""
        return cls() if (run.pushed and run.pushed.verified) or run.synced else None


@dataclass(frozen=True)
class Kept:
    """The work is in a salvage directory, durable, and was read back from there."""

    directory: Path


@dataclass(frozen=True)
class NothingThere:
    """There is no work: the agent never began, or what it left, its tree and the refs of its clone, equals what it was given."""


@dataclass(frozen=True)
class OrderedByUser:
    """The user asked for it: `cancel --now`, or `clean`."""


Proof = Delivered | Kept | NothingThere | OrderedByUser


def is_recovering(run: Run) -> bool:
    """Whether a run's daemon died, and what it left is still being kept."""
    return run.state is State.RUNNING and run.held is not None


def work_kept(run: Run) -> bool:
    """Return whether work of a run is kept that was not delivered."""
    return run.kept_in is not None or (run.salvage is not None and not run.salvage.delivered)


def require_kept(run: Run) -> None:
    """Raise UsageError when an ended run left nothing that could be removed."""
    if run.salvage is None and run.kept_in is None:
        raise UsageError(f"nothing is kept of run {run.label}", f"ccterm show {run.ref} says what became of it")


def uncommitted(run: Run) -> bool:
    """Return whether the agent's tree is kept, of which no commit was made yet."""
    if Delivered.of(run):
        return False
    if run.salvage and (run.salvage.commit or run.salvage.tree):
        return run.salvage.tree
    return run.kept_in is not None


def can_be_delivered(run: Run) -> bool:
    """Return whether kept work can be delivered: a commit, or a tree that one can be made of."""
    return uncommitted(run) or (run.salvage is not None and run.salvage.commit is not None and not run.salvage.delivered)
