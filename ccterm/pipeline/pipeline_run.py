"""One run on its way through its boxes: carried out from its first step to its last, recovered after a crash, or delivered later.

    resolve → checkout → setup → agent → commit → policy → verify → push      (pipeline mode)
    snapshot → checkout → setup → agent → commit → policy → verify → apply    (testing mode)

Once the agent has begun, its work leaves the boxes in one of two ways: a target delivers it, or it is put into salvage. `proof` says which;
while it is None nothing may remove the boxes.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ccterm import causes
from ccterm.agents.verdict import Outcome
from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.events import BoxesKept, Salvaged, SideKept
from ccterm.executors.base import Artifact, Boxes, StepResult
from ccterm.kept_refs import kept_sentence
from ccterm.machine_errors import reported_error
from ccterm.models import State
from ccterm.pipeline import judgement, step_specs
from ccterm.pipeline.agent_home import keep_left_conversation
from ccterm.pipeline.agent_step import AgentExit, AgentStep
from ccterm.pipeline.checkpoint_recovery import keep_checkpoint
from ccterm.pipeline.context import CommandEnvironment, RemoteAccess, RunContext, WorkContext
from ccterm.pipeline.continuation import CONVERSATION
from ccterm.pipeline.judgement import CommittedWork
from ccterm.pipeline.reports import CommitResult, ShellResult, report_in_box
from ccterm.pipeline.run_control import RunControl, StoppedEarly
from ccterm.pipeline.step_runner import StepRunner
from ccterm.pipeline.targets import BranchTarget, Checkout, Target, WorkingCopyTarget
from ccterm.proof import Delivered, NothingThere, OrderedByUser, Proof
from ccterm.record import Recorder
from ccterm.state_dir import StateDir
from ccterm.workspace.salvage import CLEAN, LEFT, TREE, keep_side_work, keep_tree, keep_work, make_durable
from ccterm.workspace.work import Work, forget

_log = logging.getLogger(__name__)
Left = Callable[[], Mapping[str, Artifact] | None]


@dataclass(frozen=True)
class RunEnding:
    """How a run ends."""

    state: State
    cause: Cause | None = None
    reason: str = ""
    summary: str = ""

    @classmethod
    def of_agent(cls, outcome: Outcome) -> "RunEnding":
        """Return the end of a run whose agent did not end well."""
        if outcome.cancelled:
            return cls(State.CANCELLED, summary=outcome.summary or "cancelled")
        found = reported_error(outcome.reason, outcome.summary) if outcome.cause is Cause.AGENT else None
        return cls(State.FAILED, *(found or (outcome.cause, outcome.reason)), outcome.summary)


class PipelineRun:
    """One run in its boxes. left: asks what its boxes hold on this machine."""

    def __init__(
        self, context: WorkContext, boxes: Boxes, recorder: Recorder, control: RunControl, state: StateDir, left: Left = lambda: None
    ) -> None:
        self._context = context
        self._boxes = boxes
        self._recorder = recorder
        self._control = control
        self._steps = StepRunner(context.output, boxes, recorder, control)
        self._state = state
        self._work_dir = state.work(recorder.run.id)
        self._salvage_dir = state.salvage(recorder.run.id)
        self._storage = state.storage
        self._left = left
        self.proof: Proof | None = NothingThere()
        """Why nothing is lost when the boxes are removed; None = they must stay."""
        self.lost = ""
        """Why work that existed is neither delivered nor kept, or ""."""
        self._start: Checkout | None = None
        self._commit_tried = False
        self._tree: Artifact | None = None
        """The agent's tree as the last step left it; None until the agent has worked."""
        self._committed_in_box: Mapping[str, Artifact] | None = None
        """What the agent's box holds of a commit that was made there, as outputs of the step commit."""
        self._left_by_setup: Artifact | None = None
        """The record of what setup left."""
        self._unread = False
        """Whether the tree's git directory may hold work that the commit step could not read."""
        self._committed: CommittedWork | None = None
        """The commit made of that tree, once its files are on the host."""

    async def carry_out(self, context: RunContext) -> RunEnding:
        """Take the run from its first step to its last. Raises StepError and StoppedEarly; the agent's work is kept by then."""
        target = self._target(context.remote)
        checkout = await target.check_out(context.earlier.work)
        checkout = await self._set_up(checkout, context.commands)
        await self._recorder.save()
        self._start, self.proof = checkout, None
        try:
            outcome = await self._run_agent(context, checkout)
            return await self._finish(outcome, checkout, target, context.commands)
        except StoppedEarly as stop:
            if stop.now:
                self.proof = OrderedByUser()
            else:
                await self._rescue()
            raise
        except Exception as error:
            if isinstance(error, StepError) and error.reason in ("service", "gateway") and self._tree is None:
                self.proof = NothingThere()  # what the agent was to work with did not start, and so did not the agent
            await self._rescue()
            raise
        except asyncio.CancelledError:
            self._commit_tried = True  # there is no time for it: the next start does it
            await self._rescue()
            raise

    def _target(self, remote: RemoteAccess) -> Target:
        if copy := self._context.working_copy:
            return WorkingCopyTarget(self._steps, self._boxes, self._recorder, self._context, copy)
        return BranchTarget(self._steps, self._boxes, self._recorder, self._context.task, remote)

    async def _set_up(self, checkout: Checkout, commands: CommandEnvironment) -> Checkout:
        """Run the user's setup command, if any; return what the agent starts from then."""
        task = self._context.task
        if not task.setup:
            return checkout
        result, _ = await self._steps.run(step_specs.setup(task.setup, checkout.tree, commands, last_use=not task.verify), ShellResult)
        self._left_by_setup = result.outputs.get(step_specs.LEFT)
        return replace(checkout, tree=result.outputs[step_specs.TREE], left=self._left_by_setup)

    async def _run_agent(self, context: RunContext, checkout: Checkout) -> Outcome:
        step = AgentStep(context, self._steps, self._boxes, self._recorder, self._control, self._state)
        return await step.conclude(await step.run(checkout, self._take_work))

    def _take_work(self, ended: AgentExit) -> None:
        """Take note of what the agent's box left, before anything else can fail: from here on there is work to keep."""
        self._tree, self._committed_in_box = ended.tree, ended.committed

    async def _finish(self, outcome: Outcome, checkout: Checkout, target: Target, commands: CommandEnvironment) -> RunEnding:
        """Commit the agent's work and judge it, then verify and deliver it if the agent ended well."""
        if self._tree is None:
            raise StepError(outcome.cause or Cause.AGENT, outcome.summary or "the agent's box left nothing behind", reason=outcome.reason)
        committed = await self._commit(self._tree, checkout.clean, checkout.base, outcome.summary)
        await self._recorder.save()
        judged = await judgement.judge(committed, self._context, self._recorder) if committed and committed.in_tree else None
        if outcome.cause or outcome.cancelled:
            await self._keep()
            return RunEnding.of_agent(outcome)
        if judged is None:
            await self._keep()
            return RunEnding(State.SUCCEEDED, reason="nothing_to_push", summary=self._nothing_to_push(outcome.summary))
        if self._context.task.terminal:
            await self._keep()
            return RunEnding(State.SUCCEEDED, reason=causes.KEPT)
        judgement.require_ok(judged.verdict)
        await self._verify(judged.committed, checkout.tree, commands)
        reason = await target.deliver(judged)
        if reason:
            await self._keep()
        else:
            await self._keep_side_work(judged.committed.work)
        return RunEnding(State.SUCCEEDED, reason=reason, summary=outcome.summary)

    async def _commit(self, tree: Artifact, clean: Artifact, base: str | None, summary: str) -> CommittedWork | None:
        """Make the commit and bring it to the host. Returns None if nothing changed."""
        task, self._commit_tried = self._context.task, True
        body = step_specs.commit_body(summary, run=self._recorder.run.id, model=task.model)
        step = step_specs.commit(task, tree, clean, self._context.commit, base=base, body=body, left=self._left_by_setup)
        result, report = await self._steps.run(step, CommitResult, stops="later", spared=partial(self._made_in_box, body))
        self._tree = result.outputs.get(step_specs.TREE, tree)
        for note in report.notes:
            self._recorder.notice(note, "warn")
        for what in report.unread:
            self._recorder.notice(f"not all that the agent left beside its tree could be kept as commits: {what}", "warn")
        self._unread = bool(report.unread)
        if self._unread and self._boxes.directory is not None:
            self._recorder.emit([BoxesKept(directory=str(self._boxes.directory))])
        if report.commit is None and not report.refusals and not report.side:
            await asyncio.to_thread(forget, self._work_dir)
            return None
        if step_specs.OUT in result.outputs:
            await self._boxes.collect(result.outputs[step_specs.OUT], self._work_dir, last_use=True)
        self._committed = await asyncio.to_thread(CommittedWork.read, self._work_dir, report, base, result.outputs.get(step_specs.CLEAN))
        work = self._committed.work
        self._recorder.change(commit=work.commit, changes=work.changes if self._committed.in_tree else None)
        if work.side:
            self._recorder.emit([SideKept(refs=work.side)])
            if not self._committed.in_tree:  # else it is judged, which does this
                await asyncio.to_thread(self._context.output.write_masks, work)
        return self._committed

    async def _made_in_box(self, body: str) -> StepResult | None:
        """Bring the commit to the host that was made in the agent's box, if it is the one that the step would make. body: of its message.

        In the box nobody knows how the host sees the agent's end: the message tells.
        """
        outputs, self._committed_in_box = self._committed_in_box, None
        if outputs is None:
            return None
        await self._boxes.collect(outputs[step_specs.OUT], self._work_dir, last_use=True)
        report = await asyncio.to_thread(report_in_box, self._work_dir, body)
        if report is None:
            await asyncio.to_thread(forget, self._work_dir)
            return None
        return StepResult(report, {name: artifact for name, artifact in outputs.items() if name != step_specs.OUT})

    def _nothing_to_push(self, summary: str) -> str:
        kept = kept_sentence(self._recorder.run.side)
        if not kept:
            return summary or "nothing to push"
        return ". ".join(filter(None, (f"nothing to push, {kept}", summary)))

    async def _verify(self, committed: CommittedWork, tree: Artifact, commands: CommandEnvironment) -> None:
        """Run the user's verify command on the new commit, in setup's tree; setup runs again if the commit touches its inputs."""
        task, commit = self._context.task, committed.work.commit
        if not task.verify or commit is None:
            return
        over = step_specs.Overlay(committed.clean, commit, committed.base)
        if task.setup and committed.work.touches(task.setup_inputs):
            result, _ = await self._steps.run(step_specs.setup(task.setup, tree, commands, over=over, last_use=True), ShellResult)
            tree = result.outputs[step_specs.OVERLAID]
        await self._steps.run(step_specs.verify(task.verify, tree, commands, over=over), ShellResult)

    async def recover(self, left: Mapping[str, Artifact]) -> None:
        """Commit and keep what the boxes of a crashed daemon, or a salvage directory, still hold. Raises StepError and OSError."""
        self.proof = None
        await asyncio.to_thread(forget, self._work_dir)  # a commit that was collected only in part
        self._tree, self._left_by_setup = left[step_specs.TREE], left.get(step_specs.LEFT)
        committed = await self._commit(self._tree, left[step_specs.CLEAN], self._recorder.run.base_sha, "")
        if committed and committed.in_tree:
            await judgement.judge(committed, self._context, self._recorder)
        await self._keep()

    async def keep_conversation(self) -> None:
        """Keep the conversation that is left in the HOME of an agent whose daemon died. Raises nothing: the work counts more."""
        run, to = self._recorder.run, self._state.run(self._recorder.run.id) / CONVERSATION
        homes = sorted(self._boxes.directory.glob("*-agent/home")) if self._boxes.directory else []
        if not run.session_id or not homes or to.exists():
            return
        try:
            await asyncio.to_thread(keep_left_conversation, self._context.output.cleaner(), homes[-1], run.session_id, to)
        except OSError as error:
            self._recorder.notice(f"the conversation could not be kept: {error}", "warn")

    async def deliver_kept(self, remote: RemoteAccess, directory: Path) -> None:
        """Push the commit that an earlier attempt kept in `directory`. Raises StepError; the work stays kept."""
        target = BranchTarget(self._steps, self._boxes, self._recorder, self._context.task, remote)
        await target.deliver_kept(self._recorder.run, directory)

    async def _keep(self) -> None:
        """Put the commit, and what is beside it, into salvage; without any, the boxes held nothing.

        Raises OSError and ValueError; the boxes stay then.
        """
        proof: Proof | None = NothingThere()
        if self._committed is not None:
            run, directory, work = self._recorder.run, self._salvage_dir, self._committed.work
            proof = await asyncio.to_thread(keep_work, work, directory, run, self._storage)
            self._recorder.emit([Salvaged(directory=str(directory), commit=work.commit)])
        self.proof = None if self._unread else proof
        await self._keep_unread()

    async def _keep_side_work(self, work: Work) -> None:
        """Keep what the agent left beside a tree that was delivered. Raises nothing: the boxes stay when it cannot be kept elsewhere."""
        try:
            await asyncio.to_thread(keep_side_work, work, self._storage)
            self.proof = None if self._unread else Delivered.of(self._recorder.run)
            await self._keep_unread()
        except Exception as error:  # noqa: BLE001 - the delivery itself succeeded
            _log.exception("side work of run %s", self._recorder.run.id)
            self._recorder.notice(f"what the agent left beside its tree could not be kept: {error}", "warn")

    async def _keep_unread(self) -> None:
        """Take the agent's tree out of a container when only the tree holds what is beside it; on this machine the boxes stay."""
        if not self._unread or self._tree is None or self._boxes.directory is not None:
            return
        directory = self._salvage_dir
        self._storage.make_directory(directory)
        await self._boxes.collect(self._tree, directory / TREE)
        await asyncio.to_thread(make_durable, directory, self._storage)
        self._recorder.emit([BoxesKept(directory=str(directory))])

    async def _rescue(self) -> None:
        """Keep what can be kept after something failed, and say what could not. Raises nothing: the failure itself is what counts."""
        if self.proof is not None:
            return
        try:
            await self._keep_something()
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is removed
            _log.exception("work of run %s", self._recorder.run.id)
            self._note_unkept(error)

    async def _keep_something(self) -> None:
        """Keep the commit, made now if it was not tried before; else the boxes, where they stay; else the tree out of its container."""
        if self._committed is not None:
            await self._keep()
        elif self._boxes.directory is not None:
            if (
                not self._commit_tried
                and (left := await asyncio.to_thread(self._left))
                and {step_specs.TREE, step_specs.CLEAN} <= left.keys()
            ):
                await self.recover(left)
        elif self._start is not None:
            try:
                await self._keep_tree(self._start.clean)
            except Exception:
                self.proof = await keep_checkpoint(self._context, self._recorder, self._state)
                if self.proof is None:
                    raise

    def _note_unkept(self, error: Exception) -> None:
        """Record where work is that could not be kept as it should be: in the boxes, where its commit was collected, or nowhere."""
        if self._boxes.directory is not None:
            self._recorder.notice(f"what the agent left could not be put into salvage and stays in its boxes: {error}", "warn")
        elif self._committed is not None:
            self._recorder.emit([BoxesKept(directory=str(self._work_dir))])
        else:
            if (checkpoint := self._state.checkpoint(self._recorder.run.id)).exists():
                self._recorder.emit([BoxesKept(directory=str(checkpoint))])
            self.lost = f"the agent's work could not be taken out of its container: {error}"
            self._recorder.notice(self.lost, "error")

    async def _keep_tree(self, clean: Artifact) -> None:
        if self._tree is None:
            raise ValueError("its box ended without leaving anything")
        run, directory = self._recorder.run, self._salvage_dir
        self._storage.make_directory(directory)
        await self._boxes.collect(self._tree, directory / TREE)
        await self._boxes.collect(clean, directory / CLEAN)
        if self._left_by_setup is not None:
            await self._boxes.collect(self._left_by_setup, directory / LEFT)
        self.proof = await asyncio.to_thread(keep_tree, directory, run, self._storage)
        self._recorder.emit([Salvaged(directory=str(directory), commit=None, tree=True)])
