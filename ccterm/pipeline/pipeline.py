"""Carries out runs on one executor and records how each ends: whatever happens, its record gets a last line."""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

from ccterm import causes
from ccterm.causes import Cause
from ccterm.errors import CctermError, PreflightError, SettingsError, StepError, UsageError
from ccterm.events import BoxesKept, Notice, Started, StepFinished, Synced
from ccterm.executors.base import Artifact, Boxes, Executor
from ccterm.machine_errors import machine_error
from ccterm.models import Allowances, Mode, Run, State, Task
from ccterm.pipeline import step_specs
from ccterm.pipeline.agent_home import RAW_CONVERSATION
from ccterm.pipeline.checkpoint_recovery import keep_checkpoint, keep_collected
from ccterm.pipeline.context import RunContext, WorkContext
from ccterm.pipeline.context_factory import RunContextFactory
from ccterm.pipeline.continuation import NOTHING_EARLIER, Earlier
from ccterm.pipeline.judgement import require_deliverable, scan
from ccterm.pipeline.pipeline_run import PipelineRun, RunEnding
from ccterm.pipeline.run_control import RunControl, StoppedEarly
from ccterm.pipeline.step_network import is_closed
from ccterm.policy import rules
from ccterm.proof import Delivered, NothingThere, OrderedByUser, Proof, is_recovering, uncommitted
from ccterm.record import Recorder
from ccterm.render import kept_in
from ccterm.state_dir import StateDir
from ccterm.values import Changes, Salvage
from ccterm.workspace.apply.transaction import ApplyTransaction
from ccterm.workspace.salvage import CLEAN, LEFT, TREE, keep_side_work
from ccterm.workspace.work import Work, forget

_log = logging.getLogger(__name__)


class Pipeline:
    """Carries out, recovers and delivers runs. contexts: makes what each of these needs."""

    def __init__(self, executor: Executor, contexts: RunContextFactory, state: StateDir) -> None:
        self._executor = executor
        self._contexts = contexts
        self._state = state

    async def prepare(self, task: Task) -> None:
        """Make sure that runs of a task can start. Raises PreflightError with the fix."""
        await self._contexts.require_api(task)
        await self._executor.prepare(task.image, closed=is_closed(task.egress))

    async def carry_out(self, recorder: Recorder, control: RunControl, before: Earlier | None = None) -> Run:
        """Take a run from its first step to its end. Never raises for what happens to the run; the record says it.

        before: the run that it continues.
        """
        recorder.emit([Started()])
        try:
            await recorder.save()
            context = await self._run_context(recorder, before)
            recorder.change(
                manifest=context.manifest, session_id=context.launch.session_id
            )  # whatever ends the run, its conversation can go on
            recorder.emit([Notice(level="warn", text=text) for text in context.warnings])
            async with self._opened(recorder) as boxes:
                recorder.change(manifest=context.manifest.model_copy(update={"image": boxes.image}))
                ending = await self._attempt(context, boxes, recorder, control)
        except Exception as error:  # noqa: BLE001 - where a run ends: an unforeseen error must not take other runs down
            ending = ending_of(error, recorder.run)
        return await self._end(recorder, ending)

    def _opened(self, recorder: Recorder) -> AbstractAsyncContextManager[Boxes]:
        return self._executor.open_run(recorder.run.id, recorder.run.task.image)

    async def _attempt(self, context: RunContext, boxes: Boxes, recorder: Recorder, control: RunControl) -> RunEnding:
        attempt = self._pipeline_run(context.work, boxes, recorder, control)
        try:
            ending = await attempt.carry_out(context)
        except StepError as error:
            if error.cause is Cause.ENGINE:  # the executor wants to know
                await self._close(boxes, recorder, attempt.proof)
                raise StepError(error.cause, _joined(error.message, attempt.lost), error.fix, reason=error.reason) from error
            ending = ending_of(error, recorder.run)
        except Exception as error:  # noqa: BLE001 - as above
            ending = ending_of(error, recorder.run)
        except BaseException:
            self._note_boxes(boxes, recorder, attempt.proof)
            raise
        await self._close(boxes, recorder, attempt.proof)
        return replace(ending, summary=_joined(ending.summary, attempt.lost))

    def _pipeline_run(self, work: WorkContext, boxes: Boxes, recorder: Recorder, control: RunControl) -> PipelineRun:
        return PipelineRun(work, boxes, recorder, control, self._state, lambda: self._executor.orphaned_outputs(recorder.run.id))

    async def _close(self, boxes: Boxes, recorder: Recorder, proof: Proof | None) -> None:
        """Remove a run's boxes, once the record says what became of the work; without a proof they stay."""
        self._note_boxes(boxes, recorder, proof)
        try:
            await recorder.save()
        except CctermError:
            self._note_boxes(boxes, recorder, None)
            raise
        if recorder.fault:
            self._note_boxes(boxes, recorder, None)
        elif proof is not None:
            await self._executor.remove_boxes(recorder.run.id, proof)
            await asyncio.to_thread(forget, self._state.checkpoint(recorder.run.id))

    def _note_boxes(self, boxes: Boxes, recorder: Recorder, proof: Proof | None) -> None:
        if proof is None and boxes.directory is not None:
            recorder.emit([BoxesKept(directory=str(boxes.directory))])
        elif proof is not None and recorder.run.kept_in:
            recorder.emit([BoxesKept(directory="")])

    async def _run_context(self, recorder: Recorder, before: Earlier | None) -> RunContext:
        try:
            await self._contexts.require_api(recorder.run.task)  # it may have waited since it was asked for
        except PreflightError as error:
            raise StepError(Cause.AGENT, error.message, error.fix, reason="api") from error
        try:
            earlier = await asyncio.to_thread(before.taken_over, recorder.run, self._state) if before else NOTHING_EARLIER
            return await asyncio.to_thread(self._contexts.for_run, recorder.run, recorder, earlier)
        except (SettingsError, PreflightError) as error:  # a token, secret or program is missing: nothing was fetched yet
            raise StepError(Cause.CHECKOUT, error.message, error.fix, reason="credentials") from error
        except UsageError as error:  # of the run before, something is no longer there
            raise StepError(Cause.CHECKOUT, error.message, error.fix, reason="earlier") from error

    async def _end(self, recorder: Recorder, ending: RunEnding) -> Run:
        if recorder.fault:
            ending = ending_of(recorder.fault, recorder.run, f"the transcript in {self._state.run(recorder.run.id)} could not be written: ")
        if not uncommitted(recorder.run):
            await asyncio.to_thread(forget, self._state.snapshot(recorder.run.id))
        return await recorder.finish(ending.state, ending.cause, ending.reason, ending.summary)

    async def recover(self, recorder: Recorder, control: RunControl | None = None, *, began: bool = True) -> Run:
        """End a run whose daemon died: commit and keep what its boxes still hold, and record that it was lost.

        began: whether its agent may have begun; else its boxes hold no work. control: may end the commit; what the boxes hold stays there then.
        """
        control, begin, ok = control or RunControl(), time.monotonic(), True
        ending = RunEnding(State.FAILED, Cause.LOST, summary=causes.advice(Cause.LOST).sentence)
        await asyncio.to_thread(forget, self._state.run(recorder.run.id) / RAW_CONVERSATION)  # the box, or its checkpoint, has it, too
        try:
            if files := (await asyncio.to_thread(ApplyTransaction(self._state).applied)).get(recorder.run.id):
                recorder.emit([Synced(files=files)])
                ending = RunEnding(State.SUCCEEDED, summary="the changes were already in the working copy when ccterm ended")
            elif Delivered.of(recorder.run):
                ending = RunEnding(State.SUCCEEDED, summary="the branch was already pushed when ccterm ended")
            left = await asyncio.to_thread(self._executor.orphaned_outputs, recorder.run.id)
            if left is not None:
                if began and Delivered.of(recorder.run) is None and step_specs.TREE in left:
                    # until it is safe elsewhere: whatever fails from here on, the record says where the work is
                    recorder.emit([BoxesKept(directory=str(self._state.boxes(recorder.run.id)))])
                await self._recover_boxes(recorder, left, control, began=began)
            else:
                await self._recover_without_boxes(recorder)
        except StoppedEarly:
            ok = False
            recorder.notice("stopped: what the lost run left is not committed yet", "warn")
        except Exception as error:  # noqa: BLE001 - what a lost run left is there at the next attempt, too
            _log.exception("run %s", recorder.run.id)
            ok = False
            recorder.notice(f"what the lost run left could not be committed: {error}", "error")
        if is_recovering(recorder.run):
            recorder.emit([StepFinished(step="recovering", ok=ok, seconds=round(time.monotonic() - begin, 3))])
        return await self._end(recorder, ending)

    async def _recover_boxes(self, recorder: Recorder, left: Mapping[str, Artifact], control: RunControl, *, began: bool) -> None:
        async with self._opened(recorder) as boxes:
            if Delivered.of(recorder.run):
                await self._close(boxes, recorder, await asyncio.to_thread(self._proof_of_delivered, recorder.run))
            elif not began:
                await self._close(boxes, recorder, NothingThere())
            elif step_specs.TREE in left and step_specs.CLEAN in left:
                await self._commit(recorder, boxes, left, control)
            else:
                await self._close(boxes, recorder, None)

    def _proof_of_delivered(self, run: Run) -> Proof | None:
        """Return the proof that boxes of delivered work may go; None when what the agent left beside its tree is only there. Blocks."""
        if run.kept_in:
            return None
        try:
            directory = Path(run.salvage.directory) if run.salvage else self._state.work(run.id)
            keep_side_work(Work(directory, None, Changes(), side=run.side), self._state.storage)
        except (OSError, ValueError):
            return None
        return Delivered.of(run)

    async def _recover_without_boxes(self, recorder: Recorder) -> None:
        """Keep what reached the host of a run whose boxes went with its daemon: its commit, else its last checkpoint. No engine is asked."""
        checkpoint = self._state.checkpoint(recorder.run.id)
        try:
            if Delivered.of(recorder.run) is None and recorder.run.salvage is None:
                context = await asyncio.to_thread(self._contexts.for_recovery, recorder.run, recorder)
                await keep_collected(context, recorder, self._state) or await keep_checkpoint(context, recorder, self._state)
        except Exception:
            if checkpoint.exists():
                recorder.emit([BoxesKept(directory=str(checkpoint))])
            raise
        await recorder.save()
        if recorder.fault is None:
            await asyncio.to_thread(forget, checkpoint)

    async def _commit(self, recorder: Recorder, boxes: Boxes, left: Mapping[str, Artifact], control: RunControl | None = None) -> None:
        """Commit and keep what is left of a run, then remove its boxes. Raises StepError and OSError; the boxes stay then."""
        proof: Proof | None = None
        try:
            context = await asyncio.to_thread(self._contexts.for_recovery, recorder.run, recorder)
            attempt = self._pipeline_run(context, boxes, recorder, control or RunControl())
            await attempt.keep_conversation()
            await attempt.recover(left)
            proof = attempt.proof
        finally:
            await self._close(boxes, recorder, proof)

    async def commit(self, recorder: Recorder) -> Run:
        """Make the commit of a run whose tree was kept without one. Raises StepError, OSError and UsageError; everything stays kept then."""
        run = recorder.run
        if run.kept_in == str(self._state.checkpoint(run.id)):
            await self._recover_without_boxes(recorder)
            recorder.emit([BoxesKept(directory="")])
            return recorder.run
        async with self._opened(recorder) as boxes:
            left = await self._left(run, boxes)
            if step_specs.TREE not in left or step_specs.CLEAN not in left:
                raise UsageError(f"what is kept of run {run.label} holds no tree to commit", f"see {kept_in(run)}")
            await self._commit(recorder, boxes, left)
        if not uncommitted(recorder.run):
            await asyncio.to_thread(forget, self._state.snapshot(run.id))
        return recorder.run

    async def _left(self, run: Run, boxes: Boxes) -> Mapping[str, Artifact]:
        if run.salvage and run.salvage.tree:
            directory = Path(run.salvage.directory)
            kept = {step_specs.TREE: directory / TREE, step_specs.CLEAN: directory / CLEAN, step_specs.LEFT: directory / LEFT}
            return {name: await boxes.provide(path) for name, path in kept.items() if path.exists()}
        return await asyncio.to_thread(self._executor.orphaned_outputs, run.id) or {}

    async def scan(self, recorder: Recorder) -> Run:
        """Search a run's kept work for secrets that could not be read when it was kept. Raises StepError(policy) while they still cannot."""
        run = recorder.run
        if run.salvage and run.salvage.commit:
            context = await asyncio.to_thread(self._contexts.for_recovery, run, recorder)
            await scan(run, Path(run.salvage.directory), context, recorder)
        return recorder.run

    async def clean(self, run: Run) -> Run:
        """Remove what is kept of a run, delivered or not: the user asked for it."""
        await self._executor.remove_boxes(run.id, OrderedByUser())
        for directory in (self._state.salvage(run.id), self._state.snapshot(run.id)):
            await asyncio.to_thread(forget, directory)
        side = run.side if run.salvage is None else ()
        return run.model_copy(update={"kept_in": None, "salvage": None, "side": side, "action": ""})

    async def deliver(self, run: Run, recorder: Recorder, allow: Allowances) -> Run:
        """Push a run's kept commit. recorder: takes the events of the delivery. Raises StepError and UsageError; the work stays kept."""
        salvage = _kept_commit(run)
        context = await asyncio.to_thread(self._contexts.for_delivery, run, recorder)
        directory = Path(salvage.directory)
        await asyncio.to_thread(require_deliverable, run, directory, context.work.limits, allow)
        async with self._opened(recorder) as boxes:
            delivery = self._pipeline_run(context.work, boxes, recorder, RunControl())
            try:
                await delivery.deliver_kept(context.remote, directory)
            finally:  # the work is in salvage; what these boxes hold are copies
                if run.kept_in is None:
                    await self._executor.remove_boxes(run.id, NothingThere())
        delivered = salvage.model_copy(update={"delivered": True})
        return run.model_copy(update={"pushed": recorder.run.pushed, "salvage": delivered, "action": ""})


def ending_of(error: Exception, run: Run, doing: str = "") -> RunEnding:
    """Return how a run ends that an error ended. doing: what failed, when the error does not say it."""
    if found := machine_error(error):
        words = str(error.strerror) if isinstance(error, OSError) else str(error)
        summary = f"{causes.advice(*found).sentence}: {doing}{words}"
        return RunEnding(State.FAILED, *found, summary)
    match error:
        case StoppedEarly(now=now):
            return RunEnding(State.CANCELLED, summary="cancelled immediately; nothing was kept" if now else "cancelled")
        case StepError(cause=cause, reason=reason):
            return RunEnding(State.FAILED, cause, reason, f"{causes.advice(cause, reason).sentence}: {error}")
        case CctermError():
            return RunEnding(State.FAILED, Cause.INTERNAL, type(error).__name__, str(error))
        case _:
            _log.error("run %s", run.id, exc_info=error)
            return RunEnding(State.FAILED, Cause.INTERNAL, type(error).__name__, f"{type(error).__name__}: {error}")


def _joined(*sentences: str) -> str:
    return "; ".join(filter(None, sentences))


def _kept_commit(run: Run) -> Salvage:
    """Return where a run's commit is kept. Raises UsageError if there is nothing to push, StepError if it must not be pushed."""
    if run.task.mode is Mode.TESTING:
        raise UsageError(f"run {run.label} has no branch to push to", f"ccterm apply {run.ref} applies its changes to the working copy")
    if run.salvage is None or run.commit is None:
        state = "was already delivered" if run.pushed else "kept no commit"
        raise UsageError(f"run {run.label} {state}, so there is nothing to push", f"ccterm show {run.ref}")
    if run.verdict and any(finding.rule == "secret" for finding in run.verdict.findings):
        fix = "remove the secret from the work before delivering it"
        raise StepError(Cause.POLICY, rules.sentence(run.verdict), fix, reason="secret")
    return run.salvage
