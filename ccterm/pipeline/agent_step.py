"""The step in which the agent works: its HOME, its control socket, and what is recorded of it afterwards."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from pydantic import JsonValue

from ccterm.agents.stream import StreamParser
from ccterm.agents.verdict import Outcome
from ccterm.causes import Cause
from ccterm.event_lines import cut
from ccterm.events import Steered
from ccterm.executors.base import Artifact, Boxes, StepResult
from ccterm.executors.control import Control
from ccterm.models import ExecutionMode
from ccterm.output.sanitise import sanitise
from ccterm.pipeline import agent_spec, step_specs
from ccterm.pipeline.agent_gateway import AgentGateway
from ccterm.pipeline.agent_home import RAW_CONVERSATION, keep_conversation
from ccterm.pipeline.agent_spec import CommitSource
from ccterm.pipeline.checkpoints import CheckpointReceiver, CheckpointStore
from ccterm.pipeline.context import AgentLaunch, RunContext
from ccterm.pipeline.continuation import CONVERSATION
from ccterm.pipeline.live_patch import LivePatch
from ccterm.pipeline.run_control import RunControl
from ccterm.pipeline.step_runner import StepRunner
from ccterm.pipeline.targets import Checkout
from ccterm.record import Recorder
from ccterm.state_dir import StateDir
from ccterm.workspace.git_dir_watch import steers
from ccterm.workspace.work import forget

_BOXED = {step_specs.CLEAN: step_specs.GUARDED, step_specs.OUT: step_specs.GUARDED_OUT, step_specs.TREE: step_specs.TREE}
"""Outputs of the step commit, and under which names the agent's box has them: the clean git directory only where verify needs it."""
DENIALS = 50
"""How many denied calls a run document names."""


@dataclass(frozen=True)
class AgentExit:
    """What the agent's box left."""

    result: StepResult
    parser: StreamParser
    report: Mapping[str, JsonValue] | None

    @property
    def tree(self) -> Artifact | None:
        """The agent's tree, or None if the box left none."""
        return self.result.outputs.get(step_specs.TREE)

    @property
    def committed(self) -> Mapping[str, Artifact] | None:
        """What the commit left that was made in that box, as the outputs of the step commit; None if the step has to make it."""
        if (self.report or {}).get("committed") is not True or step_specs.GUARDED_OUT not in self.result.outputs:
            return None
        return {name: self.result.outputs[boxed] for name, boxed in _BOXED.items() if boxed in self.result.outputs}


class AgentStep:
    """Lets the agent of one run work."""

    def __init__(
        self, context: RunContext, steps: StepRunner, boxes: Boxes, recorder: Recorder, control: RunControl, state: StateDir
    ) -> None:
        self._context = context
        self._steps = steps
        self._boxes = boxes
        self._recorder = recorder
        self._control = control
        self._gateway: AgentGateway | None = None
        self._run_dir = state.run(recorder.run.id)
        self._state = state

    async def run(self, checkout: Checkout, take: Callable[[AgentExit], None]) -> AgentExit:
        """Start the agent and wait for its end. Never raises StepError for what the agent did: the outcome says it.

        take: called with what its box left as soon as that is known: much may fail before this returns.
        """
        parser = self._context.launch.agent.parser(self._context.earlier.spent)
        home = await self._provide_home()
        async with self._launched(parser) as launch:
            return await self._carry_out(launch, checkout, parser, home, take)

    @asynccontextmanager
    async def _launched(self, parser: StreamParser) -> AsyncIterator[AgentLaunch]:
        """Yield how the agent is started; one that does not get the login may use the gateway for the duration of the block."""
        launch = self._context.launch
        if launch.gateway is None:
            yield launch
            return
        self._gateway = AgentGateway(parser, self._context.work.output, self._recorder, self._control)
        async with launch.gateway.admitted(self._recorder.run.id, self._gateway) as run_pass:
            try:
                yield launch.with_pass(launch.gateway, run_pass)
            finally:
                await self._gateway.close()

    async def _carry_out(
        self, launch: AgentLaunch, checkout: Checkout, parser: StreamParser, home: Artifact | None, take: Callable[[AgentExit], None]
    ) -> AgentExit:
        task = self._context.work.task
        step = agent_spec.agent(
            task,
            launch,
            checkout.tree,
            self._context.commands,
            home=home,
            commits=self._commits(checkout),
            last_use=not task.verify,
        )
        store = CheckpointStore(self._state.checkpoint(self._recorder.run.id), self._state.storage)
        receiver = CheckpointReceiver(store, self._context.work.output.cleaner(), self._complain)
        live = LivePatch(self._context.work, self._boxes, self._control, self._state.live_patch(self._recorder.run.id))
        try:
            self._control.look = partial(live.bring_up_to_date, checkout, self._recorder.run.id, store, receiver)
            async with Control.listen(launch.sockets) as control, launch.startup.starting() as started:
                result, output = await self._steps.execute(
                    step, control=control, parser=parser, on_line=started, on_checkpoint=receiver.frame
                )
                ended = AgentExit(result, parser, output.report)
                take(ended)
        finally:
            self._control.look = None
            unanswered = self._control.take_unanswered()
            self._recorder.emit(
                [
                    Steered(text=cut(text, where=""), taken=False, detail="the agent ended first", message=key)
                    for key, text in unanswered.items()
                ]
            )
            await receiver.close()
            await live.forget()
        return ended

    def _commits(self, checkout: Checkout) -> CommitSource | None:
        """Return what commits in the agent's box are made from; None where boxes stay on the disk: all that checkpoints hold is there anyway."""
        if self._boxes.directory is not None:
            return None
        task, work = self._context.work.task, self._context.work
        body = step_specs.commit_body("", run=self._recorder.run.id, model=task.model)
        return CommitSource(checkout.clean, work.commit, checkout.base, body, self._context.launch.checkpoint_seconds, checkout.left)

    def _complain(self, text: str) -> None:
        self._recorder.notice(text, "warn")

    async def conclude(self, ended: AgentExit) -> Outcome:
        """Judge and record how the agent ended, keep its conversation, and warn of changes to the user's own git directory.

        Raises StepError if the conversation cannot be collected.
        """
        parser, outcome = ended.parser, self._context.launch.agent.judge(ended.parser, ended.report)
        if outcome.cause is Cause.TIMEOUT and self._context.launch.ends_with_login:
            outcome = replace(outcome, reason="login")
        if self._gateway and self._context.launch.gateway:
            outcome = self._gateway.judged(outcome, self._context.launch.gateway.max_tokens)
        manifest = self._recorder.run.manifest.model_copy(update={"cli_version": parser.cli_version or None})
        session = parser.session_id or self._context.launch.session_id
        denied = tuple(parser.denied.values())[:DENIALS]
        self._recorder.change(session_id=session, asked=outcome.asked, denied=denied, manifest=manifest)
        turns = self._recorder.run.turns
        detail = f"{turns} turn{'' if turns == 1 else 's'}" if turns else ""  # how it ended is said with the end of the run
        self._steps.finished("agent", ended.result, ok=outcome.cause is None and not outcome.cancelled, detail=detail)
        if step_specs.SESSION in ended.result.outputs:
            await self._keep_conversation(ended.result.outputs[step_specs.SESSION])
        await self._warn_of_git_changes()
        return outcome

    async def _provide_home(self) -> Artifact | None:
        """Bring in what the agent's private HOME holds from the start."""
        if not self._context.launch.command.private_home:
            return None
        staged = self._run_dir / "home.raw"
        try:
            return await self._boxes.provide(staged) if await asyncio.to_thread(self._context.launch.home.fill, staged) else None
        finally:
            await asyncio.to_thread(forget, staged)

    async def _keep_conversation(self, session: Artifact) -> None:
        """Keep the agent's conversation, cleaned, so that the run can be continued later."""
        collected = self._run_dir / RAW_CONVERSATION
        try:
            await self._boxes.collect(session, collected)
            await asyncio.to_thread(keep_conversation, self._context.work.output.cleaner(), collected, self._run_dir / CONVERSATION)
        finally:
            await asyncio.to_thread(forget, collected)

    async def _warn_of_git_changes(self) -> None:
        """Warn if the user's own git directory changed while an agent ran outside of a container."""
        copy = self._context.work.working_copy
        if copy is None or self._context.work.task.execution_mode is not ExecutionMode.LOCAL:
            return
        if names := await asyncio.to_thread(copy.touched):
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            text = f"the repository's git directory changed while the agent ran: {', '.join(names[:3])}{more}; was that you?"
            self._recorder.notice(sanitise(text), "error" if any(map(steers, names)) else "warn")
