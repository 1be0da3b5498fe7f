"""Applies kept changes to a working copy, or undoes them, when the user asks for it after a run has ended."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from ccterm.errors import UsageError
from ccterm.events import Notice, Synced
from ccterm.models import Allowances, Mode, Run, RunId
from ccterm.pipeline.judgement import policy_limits, require_deliverable
from ccterm.policy.linked import LinkGuard
from ccterm.policy.protected import allowed
from ccterm.proof import work_kept
from ccterm.record import Recorder
from ccterm.settings import PolicySettings
from ccterm.state_dir import StateDir
from ccterm.values import Sync as SyncRecord
from ccterm.values import linked_sentence
from ccterm.workspace.apply.changeset import CHANGES, ChangeSet
from ccterm.workspace.apply.transaction import Applied, ApplyTransaction
from ccterm.workspace.repository import find_repository
from ccterm.workspace.work import kept_directory


class ChangeApplier:
    """Applies and undoes the changes of runs that have ended."""

    def __init__(self, state: StateDir, settings: PolicySettings, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._state = state
        self._settings = settings
        self._sync = ApplyTransaction(state)

    async def apply(self, run: Run, recorder: Recorder, allow: Allowances, only: Sequence[str] = ()) -> Run:
        """Apply a run's kept changes, or those to some paths, to its working copy. Raises StepError and UsageError."""
        directory, changes = self._kept(run)
        widened = allow.beyond(run.task.allow)
        facts = await asyncio.to_thread(require_deliverable, run, directory, policy_limits(self._settings, run.task.allow), allow)
        if unknown := [path for path in only if path not in {op.shown for op in changes.ops}]:
            raise UsageError(f"run {run.label} does not change {unknown[0]}", f"ccterm diff {run.ref} shows what it changes")
        wanted = changes.only(only).without([path for path in facts.ignored if not allowed(path, widened.paths)])
        synced = await asyncio.to_thread(self._apply, run, wanted, self._guard(run, widened))
        recorder.emit([*(Notice(level="warn", text=note) for note in synced.notes), Synced(files=synced.files, linked=synced.linked)])
        salvage = run.salvage and run.salvage.model_copy(update={"delivered": not only or run.salvage.delivered})
        return run.model_copy(update={"synced": recorder.run.synced, "salvage": salvage, "action": "" if not only else run.action})

    def _apply(self, run: Run, wanted: ChangeSet, guard: LinkGuard) -> Applied:
        repository = guard.repository()
        repository.require_rest()
        return self._sync.apply(run.id, repository.root, wanted, guard)

    def _guard(self, run: Run, allow: Allowances) -> LinkGuard:
        return LinkGuard(lambda: find_repository(run.task.repo, self._environ, Path(run.task.repo)), self._environ, allow.paths)

    def _kept(self, run: Run) -> tuple[Path, ChangeSet]:
        if run.task.mode is not Mode.TESTING:
            raise UsageError(
                f"run {run.label} works on a branch, not on a working copy", f"ccterm {'push' if work_kept(run) else 'show'} {run.ref}"
            )
        if run.synced and not run.synced.undone and (run.salvage is None or run.salvage.delivered):
            raise UsageError(f"the changes of run {run.label} are already in {run.task.repo}", f"ccterm undo {run.ref} takes them back")
        directory = kept_directory(run, self._state)
        changes = ChangeSet.read(directory / CHANGES) if directory else None
        if directory is None or changes is None:
            raise UsageError(f"run {run.label} kept no changes that can be applied", f"ccterm show {run.ref}")
        return directory, changes

    async def undo(self, run: Run, recorder: Recorder) -> Run:
        """Take a run's changes out of its working copy. Raises StepError(conflict) and UsageError."""
        synced = await asyncio.to_thread(self._sync.undo, run.id, self._guard(run, run.task.allow))
        before = run.synced or SyncRecord(files=synced.files, linked=synced.linked)
        text = f"undone: {synced.files} files have their previous content again{linked_sentence(synced.linked)}"
        recorder.emit([*(Notice(level="warn", text=note) for note in synced.notes), Notice(level="info", text=text)])
        return run.model_copy(update={"synced": before.model_copy(update={"undone": True})})

    def recover(self) -> Mapping[RunId, str]:
        """Roll back applies that were interrupted; return what was done, for people. Blocks."""
        return self._sync.recover()

    def applied(self) -> Mapping[RunId, int]:
        """Return how many paths of which runs were applied, according to the journals. Blocks."""
        return self._sync.applied()
