"""Carries out one run and says how it ended: whatever happens, the work is kept and the record has its last line."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ccterm import causes
from ccterm.agents.verdict import Outcome
from ccterm.causes import Cause
from ccterm.errors import CctermError, PreflightError, SettingsError, StepError, UsageError
from ccterm.events import Salvaged, Started, Synced
from ccterm.executors.base import Artifact, Boxes, Executor
from ccterm.models import Allowances, Mode, Run, State, Task
from ccterm.pipeline import step_specs
from ccterm.pipeline.change_applier import require_deliverable
from ccterm.pipeline.context import RunContext
from ccterm.pipeline.run_control import RunControl, StoppedEarly
from ccterm.pipeline.run_steps import Line
from ccterm.pipeline.step_specs import commit_body
from ccterm.policy import rules
from ccterm.record import Recorder
from ccterm.state_dir import StateDir
from ccterm.workspace.apply.transaction import Sync
from ccterm.workspace.work import forget, keep_tree, keep_work

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ending:
    """How a run ends."""

    state: State
    cause: Cause | None = None
    reason: str = ""
    summary: str = ""


class Pipeline:
    """Carries out runs on one executor. `outfit` makes what one run needs; it raises CctermError when that cannot be had."""

    def __init__(self, executor: Executor, outfit: Callable[[Run, Recorder], RunContext], state: StateDir) -> None:
        self._executor = executor
        self._outfit = outfit
        self._state = state

    async def prepare(self, task: Task) -> None:
        """Make sure that runs of a task can start. Raises PreflightError with the fix."""
        await self._executor.prepare(task.image)

    def trouble(self) -> str:
        """Return why no run can start at the moment, or ""."""
        return self._executor.trouble()

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever `trouble` has changed."""
        self._executor.watch(changed)

    async def carry_out(self, recorder: Recorder, live: RunControl) -> Run:
        """Take a run from checkout to its end. Never raises for what happens to the run; the record says it."""
        recorder.emit([Started()])
        try:
            await recorder.save()
            ending = await self._attempt(recorder, live)
        except StoppedEarly as stop:
            ending = Ending(State.CANCELLED, summary="cancelled at once; nothing was kept" if stop.now else "cancelled")
        except StepError as error:
            ending = _failed(error)
        except CctermError as error:
            ending = Ending(State.FAILED, Cause.INTERNAL, type(error).__name__, str(error))
        except Exception as error:  # noqa: BLE001 - where a run ends: an unforeseen fault must not take the others along
            _log.exception("run %s", recorder.run.id)
            ending = Ending(State.FAILED, Cause.INTERNAL, type(error).__name__, f"{type(error).__name__}: {error}")
        return await self._finish(recorder, ending)

    async def _finish(self, recorder: Recorder, ending: Ending) -> Run:
        if recorder.fault:
            summary = f"the transcript could not be written: {recorder.fault.strerror}; free some space in {self._state.path}"
            ending = Ending(State.FAILED, Cause.INTERNAL, "disk", summary)
        await asyncio.to_thread(forget, self._state.snapshot(recorder.run.id))
        return await recorder.finish(ending.state, ending.cause, ending.reason, ending.summary)

    async def _attempt(self, recorder: Recorder, live: RunControl) -> Ending:
        try:
            kit = await asyncio.to_thread(self._outfit, recorder.run, recorder)
        except (SettingsError, PreflightError) as error:  # a token or a secret that cannot be had: nothing was fetched yet
            raise StepError(Cause.CHECKOUT, error.message, error.fix, reason="credentials") from error
        recorder.change(manifest=kit.manifest)
        async with self._executor.open_run(recorder.run.id, recorder.run.task.image) as boxes:
            recorder.change(manifest=kit.manifest.model_copy(update={"image": boxes.image}))
            line = Line(kit, boxes, recorder, live, self._state.work(recorder.run.id))
            await line.prepare()
            await recorder.save()
            try:
                outcome = await line.work()
                return await self._deliver(line, outcome, recorder)
            except StoppedEarly as stop:
                if not stop.now:
                    await self._salvage(line, boxes, recorder)
                raise
            except StepError:
                await self._salvage(line, boxes, recorder)
                raise

    async def _deliver(self, line: Line, outcome: Outcome, recorder: Recorder) -> Ending:
        if line.at.work is None:
            raise StepError(outcome.cause or Cause.AGENT, outcome.summary or "the agent's box left nothing behind", reason=outcome.reason)
        run = recorder.run
        kept = await line.commit(commit_body(outcome.summary, run=run.id, model=run.task.model))
        await recorder.save()
        verdict = await line.judge() if kept else None
        if outcome.cause or outcome.cancelled:
            if kept:
                await self._keep(line, recorder)
            return _ended(outcome)
        if verdict is None:
            return Ending(State.SUCCEEDED, reason="nothing_to_push", summary=outcome.summary or "nothing to push")
        if not verdict.ok:
            raise StepError(Cause.POLICY, rules.sentence(verdict), reason=verdict.findings[0].rule)
        await line.verify()
        if run.task.mode is Mode.TESTING:
            return await self._bring_back(line, outcome, recorder)
        await line.push()
        return Ending(State.SUCCEEDED, summary=outcome.summary)

    async def _bring_back(self, line: Line, outcome: Outcome, recorder: Recorder) -> Ending:
        """Apply the changes when the user said so beforehand; else keep them for a look and `apply`."""
        if recorder.run.task.yes:
            await line.apply()
            return Ending(State.SUCCEEDED, summary=outcome.summary)
        await self._keep(line, recorder)
        return Ending(State.SUCCEEDED, reason=causes.AWAITS_APPLY, summary=outcome.summary)

    async def recover(self, recorder: Recorder) -> Run:
        """End a run whose owner died: commit what its boxes still hold, and say that it was lost."""
        ending = Ending(State.FAILED, Cause.LOST, summary=causes.advice(Cause.LOST).sentence)
        try:
            left = await asyncio.to_thread(self._executor.orphaned_outputs, recorder.run.id)
            if files := (await asyncio.to_thread(Sync(self._state).applied)).get(recorder.run.id):
                recorder.emit([Synced(files=files)])
                ending = Ending(State.SUCCEEDED, summary="the changes were in the working copy when ccterm ended")
            if left is not None:
                await self._take_up(recorder, {} if files else left)
        except CctermError as error:
            recorder.notice(f"what the lost run left could not be committed: {error}", "error")
        return await self._finish(recorder, ending)

    async def _take_up(self, recorder: Recorder, left: Mapping[str, Artifact]) -> None:
        async with self._executor.open_run(recorder.run.id, recorder.run.task.image) as boxes:  # leaving removes what the dead owner left
            if step_specs.TREE in left and step_specs.CLEAN in left and _checked_out(recorder.run):
                await self._commit_lost(boxes, recorder, left)

    async def _commit_lost(self, boxes: Boxes, recorder: Recorder, left: Mapping[str, Artifact]) -> None:
        kit = await asyncio.to_thread(self._outfit, recorder.run, recorder)
        work = self._state.work(recorder.run.id)
        await asyncio.to_thread(forget, work)  # what a commit left behind half-way
        line = Line(kit, boxes, recorder, RunControl(), work)
        line.at.base, line.at.clean, line.at.work = recorder.run.base_sha, left[step_specs.CLEAN], left[step_specs.TREE]
        try:
            if await line.commit(commit_body("", run=recorder.run.id, model=recorder.run.task.model)):
                await line.judge()
                await self._keep(line, recorder)
        except StepError:
            await self._salvage(line, boxes, recorder)
            raise

    async def deliver(self, run: Run, recorder: Recorder, allow: Allowances) -> Run:
        """Push a run's salvaged commit; `recorder` takes the events of the delivery. Raises StepError and UsageError; the work stays kept."""
        if run.task.mode is Mode.TESTING:
            raise UsageError(f"run {run.id} has no branch to push to", f"ccterm apply {run.id} brings its changes into the working copy")
        if run.salvage is None or run.commit is None:
            what = "was delivered already" if run.pushed else "kept no commit"
            raise UsageError(f"run {run.id} {what}, there is nothing to push", f"ccterm show {run.id}")
        if run.verdict and any(finding.rule == "secret" for finding in run.verdict.findings):
            raise StepError(
                Cause.POLICY, rules.sentence(run.verdict), "take the secret out of the work before it goes anywhere", reason="secret"
            )
        kit = await asyncio.to_thread(self._outfit, run, recorder)
        await asyncio.to_thread(require_deliverable, run, Path(run.salvage.directory), kit.measures, allow)
        async with self._executor.open_run(run.id, run.task.image) as boxes:
            line = Line(kit, boxes, recorder, RunControl(), self._state.work(run.id))
            await line.deliver(run, await boxes.provide(Path(run.salvage.directory)))
        salvage = run.salvage.model_copy(update={"delivered": True})
        return run.model_copy(update={"pushed": recorder.run.pushed, "salvage": salvage, "action": ""})

    async def _salvage(self, line: Line, boxes: Boxes, recorder: Recorder) -> None:
        """Keep what there is: the commit when commit made one, else the agent's tree as it stands."""
        if line.at.kept is not None:
            await self._keep(line, recorder)
        elif line.at.work is not None:
            to = self._state.salvage(recorder.run.id)
            to.mkdir(mode=0o700, parents=True)
            await boxes.collect(line.at.work, to / "tree")
            await asyncio.to_thread(keep_tree, to, recorder.run)
            recorder.emit([Salvaged(directory=str(to), commit=None)])

    async def _keep(self, line: Line, recorder: Recorder) -> None:
        assert line.at.kept is not None
        to = self._state.salvage(recorder.run.id)
        await asyncio.to_thread(keep_work, line.at.kept, to, recorder.run)
        recorder.emit([Salvaged(directory=str(to), commit=line.at.kept.commit)])


def _checked_out(run: Run) -> bool:
    return any(step.name == "checkout" and step.ok for step in run.steps)


def _ended(outcome: Outcome) -> Ending:
    if outcome.cancelled:
        return Ending(State.CANCELLED, summary=outcome.summary or "cancelled")
    return Ending(State.FAILED, outcome.cause, outcome.reason, outcome.summary)


def _failed(error: StepError) -> Ending:
    sentence = causes.advice(error.cause, error.reason).sentence
    return Ending(State.FAILED, error.cause, error.reason, f"{sentence}: {error}")
