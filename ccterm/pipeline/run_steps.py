"""One run as a line of steps: resolve, checkout, setup, agent, commit, policy, verify, push."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from ccterm.agents.verdict import Outcome
from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.events import Judged, Pushed, Steered, StepFinished, StepStarted, Synced
from ccterm.executors.base import Artifact, Boxes
from ccterm.executors.control import Control
from ccterm.models import Changes, ExecutionMode, Run, Verdict
from ccterm.output.sanitise import sanitise
from ccterm.pipeline import step_specs
from ccterm.pipeline.context import Progress, RunContext
from ccterm.pipeline.reports import CheckoutResult, CommitResult, PushResult, ResolveResult, ShellResult
from ccterm.pipeline.run_control import RunControl
from ccterm.pipeline.steps import Steps
from ccterm.pipeline.working_copy import WorkingCopy
from ccterm.policy import rules
from ccterm.policy.facts import merge_refusals, shaped_paths, write_facts
from ccterm.policy.protected import allowed
from ccterm.record import Recorder
from ccterm.workspace.git_dir_watch import steers
from ccterm.workspace.work import Work, forget


class Line:
    """Carries one run through its steps. Every method raises StepError, with the cause, when its step fails."""

    def __init__(self, kit: RunContext, boxes: Boxes, recorder: Recorder, live: RunControl, work_dir: Path) -> None:
        self._kit = kit
        self._boxes = boxes
        self._recorder = recorder
        self._live = live
        self._work_dir = work_dir
        self._steps = Steps(kit, boxes, recorder, live)
        self.at = Progress()

    async def prepare(self) -> None:
        """Resolve or take the snapshot, check out and set up."""
        await (self._from_working_copy(self._kit.copy) if self._kit.copy else self._from_remote())
        task, tree = self._kit.task, self.at.tree
        if task.setup and tree:
            step = step_specs.shell("setup", task.setup, tree, self._kit.around, last_use=not task.verify)
            result, _ = await self._steps.run(step, ShellResult)
            self.at.tree = result.outputs[step_specs.TREE]

    async def _from_working_copy(self, copy: WorkingCopy) -> None:
        async with self._steps.on_host("snapshot", Cause.CHECKOUT) as told:
            snapshot = await asyncio.to_thread(copy.take)
            told.append(f"{snapshot.files:,} files")
        self._warn(snapshot.notes)
        self.at.base = snapshot.base
        self._recorder.change(base_sha=snapshot.base)
        clean = await self._boxes.provide(snapshot.clean)
        include = await self._boxes.provide(snapshot.include) if snapshot.include else None
        result, _ = await self._steps.run(step_specs.lay_out(clean, include, base=snapshot.base, branch=snapshot.branch), CheckoutResult)
        self.at.clean, self.at.tree = result.outputs[step_specs.CLEAN], result.outputs[step_specs.TREE]

    async def _from_remote(self) -> None:
        task, access = self._kit.task, self._kit.access
        found = await self._steps.report(step_specs.resolve(task, access), ResolveResult)
        self.at.base, self.at.tip = found.base, found.tip
        self._refuse_default_branch(found.default_branch)
        if task.base_given and found.tip:
            fix = "leave out --base, or choose another branch"
            raise StepError(Cause.CHECKOUT, f"{task.branch} exists already and is continued from its tip", fix, reason="base")
        self._recorder.change(base_sha=self.at.base)
        step = step_specs.checkout(task, access, base=self.at.base, ref=found.ref)
        result, report = await self._steps.run(step, CheckoutResult)
        self._warn(report.notes)
        self.at.clean, self.at.tree = result.outputs[step_specs.CLEAN], result.outputs[step_specs.TREE]

    def _warn(self, notes: Sequence[str]) -> None:
        for note in notes:
            self._recorder.notice(note, "warn")

    def _refuse_default_branch(self, default: str | None) -> None:
        task = self._kit.task
        if task.branch == default and self.at.tip is not None and not task.allow_default_branch:
            raise StepError(
                Cause.POLICY,
                f"{task.branch} is the default branch of the remote",
                "choose another branch, or say --allow-default-branch",
                reason="default_branch",
            )

    async def work(self) -> Outcome:
        """Let the agent work. Never raises StepError for what the agent did: the outcome says it."""
        tree = self.at.tree
        assert tree is not None
        parser = self._kit.agent.parser()
        step = step_specs.agent(
            self._kit.task,
            self._kit.command,
            tree,
            self._kit.around,
            home=await self._home(),
            reaches=self._kit.agent_reaches,
            last_use=not self._kit.task.verify,
        )
        async with Control.listen(self._kit.sockets) as control, self._kit.start_gate() as started:
            result, door = await self._steps.execute(step, control=control, parser=parser, on_line=started)
        self._recorder.emit([Steered(text=text, taken=False, detail="the agent ended first") for text in self._live.unheard()])
        self.at.work = result.outputs.get(step_specs.TREE)
        outcome = self._kit.agent.judge(parser, door.report)
        manifest = self._recorder.run.manifest.model_copy(update={"cli_version": parser.cli_version or None})
        self._recorder.change(session_id=parser.session_id or None, asked=outcome.asked, manifest=manifest)
        self._steps.finished(
            step.name, result, ok=outcome.cause is None and not outcome.cancelled, detail=outcome.summary.split("\n", 1)[0][:120]
        )
        if step_specs.SESSION in result.outputs:
            await self._keep_session(result.outputs[step_specs.SESSION])
        self.at.outcome = outcome
        await self._look_at_git()
        return outcome

    async def _home(self) -> Artifact | None:
        """Bring in what the agent's private HOME holds from the start."""
        if not self._kit.command.private_home:
            return None
        staged = self._work_dir.with_name("home.raw")
        try:
            return await self._boxes.provide(staged) if await asyncio.to_thread(self._kit.home, staged) else None
        finally:
            await asyncio.to_thread(forget, staged)

    async def _look_at_git(self) -> None:
        """Raise the alarm when an agent that is not boxed in may have been at the user's own git directory."""
        copy = self._kit.copy
        if copy and self._kit.task.execution_mode is ExecutionMode.LOCAL and (names := await asyncio.to_thread(copy.touched)):
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            text = f"the repository's git directory changed while the agent ran: {', '.join(names[:3])}{more}; was that you?"
            self._recorder.notice(sanitise(text), "error" if any(map(steers, names)) else "warn")

    async def _keep_session(self, session: Artifact) -> None:
        """Keep the agent's conversation, cleaned: a run can be gone on with later."""
        raw = self._work_dir.with_name("session.raw")
        await self._boxes.collect(session, raw)
        await asyncio.to_thread(self._kit.keep_session, raw, self._work_dir.with_name("session.jsonl"))

    async def commit(self, body: str) -> Work | None:
        """Make the commit and bring it to the host. Returns None when nothing changed."""
        assert self.at.work is not None
        assert self.at.clean is not None
        step = step_specs.commit(
            self._kit.task, self.at.work, self.at.clean, base=self.at.base, body=body, author=self._kit.author, caps=self._kit.caps
        )
        result, report = await self._steps.run(step, CommitResult, abortable=False)
        self.at.work = result.outputs.get(step_specs.TREE, self.at.work)
        self._warn(report.notes)
        if report.commit is None and not report.refusals:
            return None
        self.at.committed = result.outputs[step_specs.CLEAN]
        await self._boxes.collect(result.outputs[step_specs.OUT], self._work_dir)
        changes = Changes(files=report.files, added=report.added, removed=report.removed, deleted=report.deleted)
        self.at.kept = await asyncio.to_thread(Work.read, self._work_dir, report.commit, changes)
        self.at.refusals = tuple((refusal.rule, refusal.path, refusal.detail) for refusal in report.refusals)
        self.at.tracked_lines = report.tracked_lines
        self._recorder.change(commit=self.at.kept.commit, changes=self.at.kept.changes)
        return self.at.kept

    async def judge(self) -> Verdict:
        """Ask the policy about the kept work, and record the answer."""
        kept = self.at.kept
        assert kept is not None
        begin = time.monotonic()
        self._recorder.emit([StepStarted(step="policy")])
        facts = await asyncio.to_thread(self._facts, kept)
        verdict = rules.judge(facts, self._kit.task.mode, self._kit.measures)
        self.at.ignored = facts.ignored
        detail = "fine" if not verdict.findings else verdict.findings[0].text
        took = round(time.monotonic() - begin, 3)
        self._recorder.emit(
            [Judged(verdict=verdict, changes=kept.changes), StepFinished(step="policy", ok=verdict.ok, seconds=took, detail=detail)]
        )
        return verdict

    def _facts(self, kept: Work) -> rules.PolicyFacts:
        """Find out what the policy wants to know, and keep it for a later delivery."""
        copy, refusals, ignored = self._kit.copy, self.at.refusals, self.at.ignored
        secrets = self._kit.secret_names(kept.added)
        shaped = shaped_paths(kept.added, kept.listed) if kept.added.exists() else []
        kept.added.unlink(missing_ok=True)  # it served the scan; the bundle and the patch hold the work
        if copy and kept.commit:
            refusals = merge_refusals(refusals, copy.extract(kept, self.at.base or ""))
            ignored = copy.ignored(kept.listed)
        facts = rules.PolicyFacts(kept.listed, refusals, secrets, shaped, ignored, self.at.tracked_lines)
        write_facts(kept.directory, facts)
        return facts

    async def verify(self) -> None:
        """Run the verify command on the new commit, over setup's tree."""
        task, kept, tree = self._kit.task, self.at.kept, self.at.tree
        if not task.verify or kept is None or kept.commit is None or tree is None:
            return
        clean, base = self.at.committed, self.at.base
        if task.setup and kept.touches(task.setup_inputs):
            step = step_specs.shell("setup", task.setup, tree, self._kit.around, clean=clean, commit=kept.commit, base=base, last_use=True)
            tree = (await self._steps.run(step, ShellResult))[0].outputs[step_specs.LAID]
        step = step_specs.shell("verify", task.verify, tree, self._kit.around, clean=clean, commit=kept.commit, base=base, last_use=True)
        await self._steps.run(step, ShellResult)

    async def push(self) -> None:
        """Push the new commit and say what the remote then holds."""
        assert self.at.kept is not None
        assert self.at.committed is not None
        commit = self.at.kept.commit
        assert commit is not None
        await self._push(self.at.committed, commit)

    async def apply(self) -> None:
        """Bring the changes into the working copy."""
        copy, kept = self._kit.copy, self.at.kept
        assert copy is not None
        assert kept is not None
        out = [path for path in self.at.ignored if not allowed(path, self._kit.measures.allow.paths)]
        async with self._steps.on_host("apply", Cause.CONFLICT) as told:
            synced = await asyncio.to_thread(copy.apply, kept, self._recorder.run.id, out)
            told.append(f"{synced.files:,} files")
        self._warn(synced.notes)
        self._recorder.emit([Synced(files=synced.files)])

    async def deliver(self, run: Run, work: Artifact) -> None:
        """Push a commit that was kept, from its bundle, onto the base it was made on."""
        task, access, commit = self._kit.task, self._kit.access, run.commit
        assert commit is not None
        found = await self._steps.report(step_specs.resolve(task, access), ResolveResult)
        self.at.tip = found.tip
        self._refuse_default_branch(found.default_branch)
        if self.at.tip not in (None, run.base_sha, commit):
            raise StepError(Cause.PUSH, f"{task.branch} moved on since the run began", reason="non_fast_forward")
        result, _ = await self._steps.run(step_specs.checkout(task, access, base=run.base_sha, ref=found.ref), CheckoutResult)
        await self._push(result.outputs[step_specs.CLEAN], commit, work)

    async def _push(self, clean: Artifact, commit: str, work: Artifact | None = None) -> None:
        task = self._kit.task
        step = step_specs.push(task, self._kit.access, clean, commit=commit, tip=self.at.tip, work=work)
        pushed = await self._steps.report(step, PushResult, abortable=False)
        if not pushed.verified or pushed.remote_sha != commit:
            raise StepError(Cause.PUSH, "the remote does not show the commit after the push", reason="refused")
        self._recorder.emit([Pushed(remote=task.remote or task.repo, ref=f"refs/heads/{task.branch}", sha=commit, verified=True)])
