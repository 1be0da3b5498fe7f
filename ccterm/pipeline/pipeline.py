"""Carries out runs on one executor and records how each ends: whatever happens, its record gets a last line."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from ccterm import causes
from ccterm.causes import Cause
from ccterm.errors import CctermError, PreflightError, SettingsError, StepError, UsageError
from ccterm.events import Started, Synced
from ccterm.executors.base import Artifact, Executor
from ccterm.models import Allowances, Mode, Run, Salvage, State, Task
from ccterm.pipeline import step_specs
from ccterm.pipeline.context import RunContext
from ccterm.pipeline.context_factory import RunContextFactory
from ccterm.pipeline.judgement import require_deliverable
from ccterm.pipeline.pipeline_run import PipelineRun, RunEnding
from ccterm.pipeline.run_control import RunControl, StoppedEarly
from ccterm.policy import rules
from ccterm.record import Recorder
from ccterm.state_dir import StateDir
from ccterm.workspace.apply.transaction import ApplyTransaction
from ccterm.workspace.work import forget

_log = logging.getLogger(__name__)


class Pipeline:
    """Carries out, recovers and delivers runs. contexts: makes what each of these needs."""

    def __init__(self, executor: Executor, contexts: RunContextFactory, state: StateDir) -> None:
        self._executor = executor
        self._contexts = contexts
        self._state = state

    async def prepare(self, task: Task) -> None:
        """Make sure that runs of a task can start. Raises PreflightError with the fix."""
        await self._executor.prepare(task.image)

    async def carry_out(self, recorder: Recorder, control: RunControl) -> Run:
        """Take a run from its first step to its end. Never raises for what happens to the run; the record says it."""
        recorder.emit([Started()])
        try:
            await recorder.save()
            ending = await self._carry_out(recorder, control)
        except StoppedEarly as stop:
            ending = RunEnding(State.CANCELLED, summary="cancelled immediately; nothing was kept" if stop.now else "cancelled")
        except StepError as error:
            sentence = causes.advice(error.cause, error.reason).sentence
            ending = RunEnding(State.FAILED, error.cause, error.reason, f"{sentence}: {error}")
        except CctermError as error:
            ending = RunEnding(State.FAILED, Cause.INTERNAL, type(error).__name__, str(error))
        except Exception as error:  # noqa: BLE001 - where a run ends: an unforeseen error must not take other runs down
            _log.exception("run %s", recorder.run.id)
            ending = RunEnding(State.FAILED, Cause.INTERNAL, type(error).__name__, f"{type(error).__name__}: {error}")
        return await self._end(recorder, ending)

    async def _carry_out(self, recorder: Recorder, control: RunControl) -> RunEnding:
        context = await self._run_context(recorder)
        recorder.change(manifest=context.manifest)
        async with self._executor.open_run(recorder.run.id, recorder.run.task.image) as boxes:
            recorder.change(manifest=context.manifest.model_copy(update={"image": boxes.image}))
            return await PipelineRun(context.work, boxes, recorder, control, self._state).carry_out(context)

    async def _run_context(self, recorder: Recorder) -> RunContext:
        try:
            return await asyncio.to_thread(self._contexts.for_run, recorder.run, recorder)
        except (SettingsError, PreflightError) as error:  # a token, secret or program is missing: nothing was fetched yet
            raise StepError(Cause.CHECKOUT, error.message, error.fix, reason="credentials") from error

    async def _end(self, recorder: Recorder, ending: RunEnding) -> Run:
        if recorder.fault:
            summary = f"the transcript could not be written: {recorder.fault.strerror}; free some space in {self._state.path}"
            ending = RunEnding(State.FAILED, Cause.INTERNAL, "disk", summary)
        await asyncio.to_thread(forget, self._state.snapshot(recorder.run.id))
        return await recorder.finish(ending.state, ending.cause, ending.reason, ending.summary)

    async def recover(self, recorder: Recorder) -> Run:
        """End a run whose daemon died: commit and keep what its boxes still hold, and record that it was lost."""
        ending = RunEnding(State.FAILED, Cause.LOST, summary=causes.advice(Cause.LOST).sentence)
        try:
            left = await asyncio.to_thread(self._executor.orphaned_outputs, recorder.run.id)
            if files := (await asyncio.to_thread(ApplyTransaction(self._state).applied)).get(recorder.run.id):
                recorder.emit([Synced(files=files)])
                ending = RunEnding(State.SUCCEEDED, summary="the changes were already in the working copy when ccterm ended")
            if left is not None:
                await self._recover_boxes(recorder, {} if files else left)
        except CctermError as error:
            recorder.notice(f"what the lost run left could not be committed: {error}", "error")
        return await self._end(recorder, ending)

    async def _recover_boxes(self, recorder: Recorder, left: Mapping[str, Artifact]) -> None:
        checked_out = any(step.name == "checkout" and step.ok for step in recorder.run.steps)
        async with self._executor.open_run(recorder.run.id, recorder.run.task.image) as boxes:  # leaving it removes the orphaned outputs
            if step_specs.TREE in left and step_specs.CLEAN in left and checked_out:
                context = await asyncio.to_thread(self._contexts.for_recovery, recorder.run, recorder)
                await PipelineRun(context, boxes, recorder, RunControl(), self._state).recover(left)

    async def deliver(self, run: Run, recorder: Recorder, allow: Allowances) -> Run:
        """Push a run's kept commit. recorder: takes the events of the delivery. Raises StepError and UsageError; the work stays kept."""
        salvage = _kept_commit(run)
        context = await asyncio.to_thread(self._contexts.for_delivery, run, recorder)
        directory = Path(salvage.directory)
        await asyncio.to_thread(require_deliverable, run, directory, context.work.limits, allow)
        async with self._executor.open_run(run.id, run.task.image) as boxes:
            delivery = PipelineRun(context.work, boxes, recorder, RunControl(), self._state)
            await delivery.deliver_kept(context.remote, directory)
        delivered = salvage.model_copy(update={"delivered": True})
        return run.model_copy(update={"pushed": recorder.run.pushed, "salvage": delivered, "action": ""})


def _kept_commit(run: Run) -> Salvage:
    """Return where a run's commit is kept. Raises UsageError if there is nothing to push, StepError if it must not be pushed."""
    if run.task.mode is Mode.TESTING:
        raise UsageError(f"run {run.id} has no branch to push to", f"ccterm apply {run.id} applies its changes to the working copy")
    if run.salvage is None or run.commit is None:
        state = "was already delivered" if run.pushed else "kept no commit"
        raise UsageError(f"run {run.id} {state}, so there is nothing to push", f"ccterm show {run.id}")
    if run.verdict and any(finding.rule == "secret" for finding in run.verdict.findings):
        fix = "remove the secret from the work before delivering it"
        raise StepError(Cause.POLICY, rules.sentence(run.verdict), fix, reason="secret")
    return run.salvage
