"""Brings kept changes into a working copy, or back out of it, on a user's word after a run has ended."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from ccterm.causes import Cause
from ccterm.errors import StepError, UsageError
from ccterm.events import Notice, Synced
from ccterm.models import Allowances, Mode, Run, RunId
from ccterm.models import Sync as Brought
from ccterm.policy import rules
from ccterm.policy.facts import read_facts
from ccterm.policy.protected import allowed
from ccterm.policy.rules import PolicyFacts, PolicyLimits
from ccterm.record import Recorder
from ccterm.settings import PolicySettings
from ccterm.state_dir import StateDir
from ccterm.workspace.apply.changeset import CHANGES, ChangeSet
from ccterm.workspace.apply.transaction import Applied, Sync
from ccterm.workspace.repository import find_repository
from ccterm.workspace.work import kept_directory


def measures_of(settings: PolicySettings, allow: Allowances) -> PolicyLimits:
    """Return how much is too much for one run."""
    return PolicyLimits(deletions=settings.max_deletions, allow=allow, strict=settings.strict)


def require_deliverable(run: Run, directory: Path, measures: PolicyLimits, allow: Allowances) -> PolicyFacts:
    """Judge a run's kept work anew, with what the user allows now. Raises StepError(policy), naming the flag, and UsageError."""
    try:
        facts = read_facts(directory)
    except (OSError, ValueError) as error:
        raise UsageError(f"the work of run {run.id} was never judged, so it is not delivered", f"see {directory}") from error
    widened = PolicyLimits(deletions=measures.deletions, allow=allow.beyond(measures.allow), strict=measures.strict)
    verdict = rules.deliverable(rules.judge(facts, run.task.mode, widened))
    if not verdict.ok:
        raise StepError(Cause.POLICY, rules.sentence(verdict), reason=verdict.findings[0].rule)
    return facts


class ChangeApplier:
    """Applies and undoes."""

    def __init__(self, state: StateDir, settings: PolicySettings, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._state = state
        self._settings = settings
        self._sync = Sync(state)

    async def apply(self, run: Run, recorder: Recorder, allow: Allowances, only: Sequence[str] = ()) -> Run:
        """Bring a run's kept changes, or those of some paths, into its working copy. Raises StepError and UsageError."""
        directory, changes = self._kept(run)
        widened = allow.beyond(run.task.allow)
        facts = await asyncio.to_thread(require_deliverable, run, directory, measures_of(self._settings, run.task.allow), allow)
        if strange := [path for path in only if path not in {op.shown for op in changes.ops}]:
            raise UsageError(f"run {run.id} changes no {strange[0]}", f"ccterm diff {run.id} shows what it changes")
        wanted = changes.only(only).without([path for path in facts.ignored if not allowed(path, widened.paths)])
        synced = await asyncio.to_thread(self._apply, run, wanted)
        recorder.emit([*(Notice(level="warn", text=note) for note in synced.notes), Synced(files=synced.files)])
        salvage = run.salvage and run.salvage.model_copy(update={"delivered": not only or run.salvage.delivered})
        return run.model_copy(update={"synced": recorder.run.synced, "salvage": salvage, "action": "" if not only else run.action})

    def _apply(self, run: Run, wanted: ChangeSet) -> Applied:
        repository = find_repository(run.task.repo, self._environ, Path(run.task.repo))
        repository.require_rest()
        return self._sync.apply(run.id, repository.root, wanted)

    def _kept(self, run: Run) -> tuple[Path, ChangeSet]:
        if run.task.mode is not Mode.TESTING:
            raise UsageError(f"run {run.id} works for a branch, not for a working copy", f"ccterm push {run.id}")
        if run.synced and not run.synced.undone and (run.salvage is None or run.salvage.delivered):
            raise UsageError(f"the changes of run {run.id} are in {run.task.repo} already", f"ccterm undo {run.id} takes them back")
        directory = kept_directory(run, self._state)
        changes = ChangeSet.read(directory / CHANGES) if directory else None
        if directory is None or changes is None:
            raise UsageError(f"run {run.id} kept no changes that could be applied", f"ccterm show {run.id}")
        return directory, changes

    async def undo(self, run: Run, recorder: Recorder) -> Run:
        """Take a run's changes out of its working copy. Raises StepError(conflict) and UsageError."""
        synced = await asyncio.to_thread(self._sync.undo, run.id)
        recorder.emit([Notice(level="info", text=f"undone: {synced.files} files hold again what they held before")])
        return run.model_copy(update={"synced": Brought(files=run.synced.files if run.synced else synced.files, undone=True)})

    def recover(self) -> Mapping[RunId, str]:
        """Take back what was broken off half-way. Blocks."""
        return self._sync.recover()

    def applied(self) -> Mapping[RunId, int]:
        """Return how many paths of which runs were brought in, by the journals. Blocks."""
        return self._sync.applied()
