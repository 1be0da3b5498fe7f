"""What an agent left beside its tree, and ccterm keeps: branches, stashes and worktrees that hold what the base lacks."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

_STASH, _WORKTREE = "stash/", "worktrees/"


class KeptRef(BaseModel):
    """One ref of a run's side bundle."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    name: str
    """heads/NAME, tags/NAME, stash/N, worktrees/NAME/commits or worktrees/NAME/changes."""
    sha: str
    commits: int = 0
    """How many commits it adds to the base and to the refs before it."""
    changes: bool = False
    """Whether it holds what was not committed."""

    @property
    def shown(self) -> str:
        """What it is, for people."""
        kind, _, name = self.name.partition("/")
        if self.name.startswith(_WORKTREE):
            return f"worktree {name.rpartition('/')[0]}"
        return f"stash {name}" if kind == "stash" else name if kind == "heads" else self.name


def kept_sentence(refs: Sequence[KeptRef]) -> str:
    """Return how much is kept beside a tree: 2 commits kept on side branches, 1 stash kept; "" for nothing."""
    commits = sum(ref.commits for ref in refs)
    stashes = sum(ref.name.startswith(_STASH) for ref in refs)
    worktrees = sum(ref.changes and ref.name.startswith(_WORKTREE) for ref in refs)
    found = [
        f"{_count(commits, 'commit')} kept on side branches" if commits else "",
        f"{_count(stashes, 'stash')} kept" if stashes else "",
        f"uncommitted changes of {_count(worktrees, 'worktree')} kept" if worktrees else "",
    ]
    return ", ".join(filter(None, found))


def names_of(refs: Sequence[KeptRef], most: int = 5) -> str:
    """Return what the refs are called, for people."""
    names = list(dict.fromkeys(ref.shown for ref in refs))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def fetched_as(run: str, ref: KeptRef) -> str:
    """Return the ref under which `ccterm fetch` brings it into a repository."""
    return f"refs/ccterm/side/{run}/{ref.name}"


def what_to_do(ref: str, run: str) -> str:
    """Return what a user can do about what is kept beside a run's tree. ref: what a user types for the run."""
    return f"ccterm fetch {ref} brings it as refs/ccterm/side/{run}/…; nothing of it was pushed or applied"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 'es' if what.endswith('sh') else 's'}"
