"""Both ends of a run: a branch of a remote, or a working copy. Between them the modes do not differ."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ccterm import causes
from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.events import Pushed, Synced
from ccterm.executors.base import Artifact, Boxes, Step, StepResult
from ccterm.models import Run, Task, now
from ccterm.pipeline import step_specs
from ccterm.pipeline.context import RemoteAccess, WorkContext
from ccterm.pipeline.continuation import EarlierWork
from ccterm.pipeline.judgement import JudgedWork
from ccterm.pipeline.reports import CheckoutResult, MergeResult, PushResult, ResolveResult
from ccterm.pipeline.step_runner import StepRunner
from ccterm.pipeline.working_copy import WorkingCopy
from ccterm.policy.protected import allowed
from ccterm.record import Recorder
from ccterm.workspace.work import BUNDLE


@dataclass(frozen=True)
class Checkout:
    """What a run starts from. base: the commit, None in an empty repository. clean: a git directory that no agent has touched."""

    base: str | None
    clean: Artifact
    tree: Artifact
    left: Artifact | None = None
    """The record of what setup left in the tree; None when none ran."""


class Target(Protocol):
    """Where a run's files come from, and where its commit goes."""

    async def check_out(self, earlier: EarlierWork | None = None) -> Checkout:
        """Make the tree that the run starts from, with the earlier work in it. Raises StepError."""
        ...

    async def deliver(self, judged: JudgedWork) -> str:
        """Deliver work that the policy accepted. Returns "" once it is delivered, else the reason why it has to wait. Raises StepError."""
        ...


class BranchTarget:
    """A branch of a remote. Its steps hold the git credential, and none of them ever meets agent code."""

    def __init__(self, steps: StepRunner, boxes: Boxes, recorder: Recorder, task: Task, remote: RemoteAccess) -> None:
        self._steps = steps
        self._boxes = boxes
        self._recorder = recorder
        self._task = task
        self._remote = remote
        self._tip: str | None = None
        """What the branch points to on the remote; the push goes nowhere else. None = it does not exist."""
        self._clean: Artifact | None = None
        """The git directory of the checkout: in a container, no step that saw the agent's tree can have written to it."""

    async def check_out(self, earlier: EarlierWork | None = None) -> Checkout:
        """Resolve the branch and check out its tip or, for a new branch, its base."""
        found = await self._resolve(self._recorder.run.created, to_push=True)
        if self._task.base_given and found.tip:
            fix = "leave out --base, or choose another branch"
            raise StepError(Cause.CHECKOUT, f"{self._task.branch} already exists and is continued from its tip", fix, reason="base")
        self._recorder.change(base_sha=found.base)
        checkout, report = await self._fetch(found, found.base)
        self._clean = checkout.clean
        _warn(self._recorder, report.notes)
        if earlier is None:
            return checkout
        kept = await self._bundle(earlier.directory)
        return await _merged(
            self._steps, checkout, step_specs.merge(checkout.tree, checkout.clean, tip=checkout.base, kept=kept, work=earlier)
        )

    async def deliver(self, judged: JudgedWork) -> str:
        """Push the commit."""
        work = judged.committed.work
        assert work.commit is not None
        assert self._clean is not None
        await self._push(self._clean, work.commit, work.directory)
        return ""

    async def deliver_kept(self, run: Run, directory: Path) -> None:
        """Push a commit that was kept in a directory onto the base it was made on. Raises StepError."""
        assert run.commit is not None
        found = await self._resolve(now())
        if found.tip not in (None, run.base_sha, run.commit):
            raise StepError(Cause.PUSH, f"{self._task.branch} has moved since the run began", reason="non_fast_forward")
        checkout, _ = await self._fetch(found, run.base_sha)
        await self._push(checkout.clean, run.commit, directory)

    async def _resolve(self, started: datetime, *, to_push: bool = False) -> ResolveResult:
        """Ask the remote, on the host where it can. started: what it held before does not count. to_push: refuse what it would refuse."""
        task, remote = self._task, self._remote
        assert task.branch is not None

        async def on_host() -> StepResult | None:
            report = await remote.listings.start(remote, task.branch or "", task.base, started=started, to_push=to_push)
            return None if report is None else StepResult(report)

        found = await self._steps.report(step_specs.resolve(task, remote), ResolveResult, spared=on_host)
        self._tip = found.tip
        if self._task.branch == found.default_branch and found.tip is not None and not self._task.allow_default_branch:
            raise StepError(
                Cause.POLICY,
                f"{self._task.branch} is the default branch of the remote",
                "choose another branch, or add --allow-default-branch",
                reason="default_branch",
            )
        return found

    async def _fetch(self, found: ResolveResult, base: str | None) -> tuple[Checkout, CheckoutResult]:
        result, report = await self._steps.run(step_specs.checkout(self._task, self._remote, found, base=base), CheckoutResult)
        return Checkout(base, result.outputs[step_specs.CLEAN], result.outputs[step_specs.TREE]), report

    async def _push(self, clean: Artifact, commit: str, directory: Path) -> None:
        """Push a commit from the bundle in a directory of the host: what was judged there is what is pushed."""
        work = await self._bundle(directory)
        step = step_specs.push(self._task, self._remote, clean, commit=commit, tip=self._tip, work=work)
        taken = False
        try:
            pushed = await self._steps.report(step, PushResult, stops="never")
            taken = pushed.verified and pushed.remote_sha == commit
        finally:
            self._remote.listings.pushed(self._remote, taken=taken)
        if not taken:
            raise StepError(Cause.PUSH, "the remote does not have the commit after the push", reason="refused")
        remote, ref = self._task.remote or self._task.repo, f"refs/heads/{self._task.branch}"
        self._recorder.emit([Pushed(remote=remote, ref=ref, sha=commit, verified=True)])

    async def _bundle(self, directory: Path) -> Artifact:
        """Bring the bundle, and nothing else, out of a directory of kept work into a box."""
        others = await asyncio.to_thread(lambda: [each.name for each in directory.iterdir() if each.name != BUNDLE])
        return await self._boxes.provide(directory, exclude=others)


class WorkingCopyTarget:
    """A working copy of the user. What the host does to it is WorkingCopy's business."""

    def __init__(self, steps: StepRunner, boxes: Boxes, recorder: Recorder, context: WorkContext, copy: WorkingCopy) -> None:
        self._steps = steps
        self._boxes = boxes
        self._recorder = recorder
        self._context = context
        self._copy = copy

    async def check_out(self, earlier: EarlierWork | None = None) -> Checkout:
        """Take a snapshot and check it out."""
        async with self._steps.on_host("snapshot", Cause.CHECKOUT) as details:
            snapshot = await asyncio.to_thread(self._copy.take)
            tree = await asyncio.to_thread(self._copy.take_over, earlier.directory, snapshot) if earlier else None
            details.append(f"{snapshot.files:,} files")
        _warn(self._recorder, snapshot.notes)
        self._recorder.change(base_sha=snapshot.base)
        clean = await self._boxes.provide(snapshot.clean)
        include = await self._boxes.provide(snapshot.include) if snapshot.include else None
        step = step_specs.checkout_snapshot(clean, include, base=snapshot.base, branch=snapshot.branch)
        result, _ = await self._steps.run(step, CheckoutResult)
        checkout = Checkout(snapshot.base, result.outputs[step_specs.CLEAN], result.outputs[step_specs.TREE])
        if tree is None:
            return checkout
        return await _merged(self._steps, checkout, step_specs.lay_over(checkout.tree, checkout.clean, tip=snapshot.base, merged=tree))

    async def deliver(self, judged: JudgedWork) -> str:
        """Apply the changes if the user agreed beforehand; otherwise they wait for a review and `apply`."""
        if not self._context.task.yes:
            return causes.AWAITS_APPLY
        leave_out = [path for path in judged.facts.ignored if not allowed(path, self._context.limits.allow.paths)]
        async with self._steps.on_host("apply", Cause.CONFLICT) as details:
            synced = await asyncio.to_thread(self._copy.apply, judged.committed.work, self._recorder.run.id, leave_out)
            details.append(f"{synced.files:,} files")
        _warn(self._recorder, synced.notes)
        self._recorder.emit([Synced(files=synced.files, linked=synced.linked)])
        return ""


async def _merged(steps: StepRunner, checkout: Checkout, step: Step) -> Checkout:
    """Return the checkout with earlier work in its tree."""
    result, _ = await steps.run(step, MergeResult)
    return replace(checkout, tree=result.outputs[step_specs.TREE])


def _warn(recorder: Recorder, notes: Sequence[str]) -> None:
    for note in notes:
        recorder.notice(note, "warn")
