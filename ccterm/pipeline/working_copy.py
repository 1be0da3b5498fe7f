"""The host's part of a testing run: take the snapshot, read the changes out of the commit, watch the user's git directory."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ccterm.causes import Cause
from ccterm.errors import StepError, UsageError
from ccterm.git.git import Git, GitError
from ccterm.git.rooted import Root
from ccterm.models import RunId, Task
from ccterm.policy.facts import ignored_paths
from ccterm.policy.linked import LinkGuard
from ccterm.policy.protected import allowed
from ccterm.state_dir import StateDir
from ccterm.workspace import git_dir_watch
from ccterm.workspace.apply.changeset import CHANGES, ChangeSet, extract
from ccterm.workspace.apply.conflicts import ConflictCheck
from ccterm.workspace.apply.transaction import Applied, ApplyTransaction
from ccterm.workspace.obeyed import obeyed_paths
from ccterm.workspace.repository import Repository, find_repository
from ccterm.workspace.snapshot.take import Snapshot, take
from ccterm.workspace.work import PathChange, Refusal, Work


@dataclass
class WorkingCopy:
    """The working copy of one run. Its methods block; they raise StepError and UsageError."""

    task: Task
    state: StateDir
    environ: Mapping[str, str]
    max_file: int
    snapshot: Path
    """Where the snapshot is stored."""
    _digests: git_dir_watch.Digests = field(default_factory=dict)
    _found: Repository | None = None

    @property
    def root(self) -> Path:
        """Its top directory."""
        return Path(self.task.repo)

    @property
    def _repository(self) -> Repository:
        self._found = self._found or find_repository(self.task.repo, self.environ, self.root)
        return self._found

    def take(self) -> Snapshot:
        """Take the snapshot, and remember the state of the git directory."""
        self._digests = git_dir_watch.digests(self._repository)
        return take(
            self._repository,
            self.state,
            self.snapshot,
            env=self.environ,
            include=self.task.include,
            max_file=self.max_file,
            allowed=lambda path: allowed(path, self.task.allow.paths),
        )

    def take_over(self, kept: Path, snapshot: Snapshot) -> str:
        """Return a tree, made in the snapshot's git directory: the working copy with the changes that are kept in `kept`.

        Raises StepError(conflict) naming the paths that changed since the changes were made.
        """
        changes = ChangeSet.read(kept / CHANGES)
        if changes is None:
            raise StepError(Cause.CONFLICT, f"the changes are no longer in {kept}", reason="earlier")
        try:
            with Root(self.root) as root:
                ops = ConflictCheck(root, changes, "the run did not start").ops
            return changes.tree_on(Git(str(snapshot.clean)), snapshot.base, ops)
        except StepError as error:
            raise StepError(Cause.CONFLICT, error.message, reason="earlier") from error
        except (GitError, OSError) as error:
            raise StepError(Cause.CHECKOUT, f"the kept changes cannot be read: {error}") from error

    def touched(self) -> Sequence[str]:
        """Return what changed in the git directory since, what can make git run something first."""
        changed = git_dir_watch.changed(self._digests, git_dir_watch.digests(self._repository)) if self._digests else []
        return sorted(changed, key=lambda name: not git_dir_watch.steers(name))

    def extract(self, work: Work, base: str) -> Sequence[Refusal]:
        """Read the change set out of the commit and store it with the work; return what must not be applied."""
        assert work.commit is not None
        clean, manifest = self.snapshot / "clean.git", self.snapshot / "manifest.json"
        changes, refused = extract(
            clean,
            work.bundle,
            base=base,
            commit=work.commit,
            manifest=manifest,
            root=self.root,
            to=work.directory / CHANGES,
            storage=self.state.storage,
        )
        listed = {change.raw for change in work.listed}
        if any(op.path not in listed for op in changes.ops):
            raise StepError(Cause.COMMIT, "the commit holds changes that its list does not name", "please report this")
        return refused

    def ignored(self, changes: Sequence[PathChange]) -> Sequence[str]:
        """Return the new paths that the working copy ignores."""
        try:
            repository = self._repository
        except UsageError:  # it is gone, or no longer a repository: nothing will be applied to it either
            return ()
        return ignored_paths(repository, self.snapshot / "clean.git" / "info" / "exclude", changes)

    def obeyed(self, changes: Sequence[PathChange]) -> Sequence[str]:
        """Return the changed paths that git obeys in the working copy, because its configuration names them."""
        try:
            repository = self._repository
        except UsageError:
            return ()
        return [os.fsdecode(path) for path in obeyed_paths(repository, self.environ, [change.raw for change in changes])]

    def apply(self, work: Work, run: RunId, leave_out: Sequence[str]) -> Applied:
        """Bring the changes into the working copy."""
        self._repository.require_rest()
        changes = ChangeSet.read(work.directory / CHANGES)
        assert changes is not None
        guard = LinkGuard(lambda: self._repository, self.environ, self.task.allow.paths)
        return ApplyTransaction(self.state).apply(run, self.root, changes.without(leave_out), guard)
