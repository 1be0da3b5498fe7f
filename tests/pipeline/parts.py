"""A pipeline without a service: its own state directory, the local executor, and boxes that can be told to fail."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import JsonValue

from ccterm import AgentService
from ccterm.agents.base import Agent, ScriptedAgent
from ccterm.agents.claude import ClaudeAgent
from ccterm.causes import Cause
from ccterm.credentials.claude import Logins
from ccterm.draft import Draft
from ccterm.errors import StepError
from ccterm.executors.base import Artifact, Boxes, Check, Executor, FrameSink, Step, StepResult
from ccterm.executors.control import Control
from ccterm.executors.local.executor import LocalExecutor
from ccterm.models import ExecutionMode, Run, RunId, State, Task, new_id, now
from ccterm.pipeline.context_factory import RunContextFactory
from ccterm.pipeline.gateway_access import Gatekeeper
from ccterm.pipeline.pipeline import Pipeline
from ccterm.proof import Proof, uncommitted
from ccterm.record import Recorder
from ccterm.settings import Settings
from ccterm.state_dir import StateDir
from ccterm.transcript import Transcript
from ccterm.values import ImageChoice


class StandIn(ScriptedAgent):
    """The scripted agent where the Claude CLI is expected, so that it gets a login."""

    name = ClaudeAgent.name


class Unlimited:
    """Lets every agent start up at once."""

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[Callable[[], None]]:
        yield lambda: None


@dataclass
class FailingBoxes:
    """Real boxes, of which one call fails. Calls are named "commit" for a step, "collect out" for an artifact."""

    boxes: Boxes
    failing: str
    image: str | None = None
    directory: Path | None = None
    names: dict[str, str] = field(default_factory=dict)
    """Handle of an artifact -> the mount it came from."""

    async def execute(self, step: Step, on_frame: FrameSink, control: Control | None = None) -> StepResult:
        self._fail_once(step.name)
        result = await self.boxes.execute(step, on_frame, control)
        self.names.update({artifact.handle: mount for mount, artifact in result.outputs.items()})
        return result

    async def provide(self, path: Path, *, exclude: Sequence[str] = ()) -> Artifact:
        return await self.boxes.provide(path, exclude=exclude)

    async def collect(self, artifact: Artifact, to: Path, *, last_use: bool = False) -> None:
        self._fail_once(f"collect {self.names[artifact.handle]}")
        await self.boxes.collect(artifact, to, last_use=last_use)

    async def live_patch(self, request: Mapping[str, JsonValue], clean: Artifact, left: Artifact | None) -> bytes | None:
        return await self.boxes.live_patch(request, clean, left)

    def _fail_once(self, call: str) -> None:
        if call == self.failing:
            self.failing = ""
            raise StepError(Cause.ENGINE, f"the engine is gone at {call}")


@dataclass
class FailingExecutor:
    """An executor whose boxes fail at one call."""

    executor: Executor
    failing: str

    async def __aenter__(self) -> "FailingExecutor":
        return self

    async def __aexit__(self, *exc: object) -> None: ...

    async def prepare(self, image: ImageChoice, *, closed: bool = False) -> None:
        await self.executor.prepare(image, closed=closed)

    def trouble(self) -> str:
        return ""

    def capacity(self) -> int | None:
        return None

    def watch(self, changed: Callable[[], None]) -> None: ...

    def open_run(self, run_id: RunId, image: ImageChoice) -> AbstractAsyncContextManager[Boxes]:
        return self._open(run_id, image)

    @asynccontextmanager
    async def _open(self, run_id: RunId, image: ImageChoice) -> AsyncIterator[Boxes]:
        async with self.executor.open_run(run_id, image) as boxes:
            yield FailingBoxes(boxes, self.failing, directory=boxes.directory)

    async def remove_boxes(self, run_id: RunId, proof: Proof) -> None:
        await self.executor.remove_boxes(run_id, proof)

    def orphaned_outputs(self, run_id: RunId) -> Mapping[str, Artifact] | None:
        return self.executor.orphaned_outputs(run_id)

    def address(self, host: str, port: int) -> tuple[str, int]:
        return self.executor.address(host, port)

    def checks(self) -> Sequence[Check]:
        return ()


def task(repo: Path | str, prompt: str, **fields: object) -> Task:
    """Return a local task for the scripted agent on a branch of a remote."""
    given = {"prompt": prompt, "repo": str(repo), "branch": "agent/x", "agent": "scripted", "execution_mode": ExecutionMode.LOCAL}
    return Task.model_validate(given | fields)


def recorder_of(state: StateDir, task: Task) -> Recorder:
    """Return the recorder of a fresh run."""
    run = Run(id=RunId(new_id()), task=task, created=now())
    return Recorder(run, Transcript(state.run(run.id), run.id), None)


def contexts(
    state: StateDir,
    executor: Executor,
    sockets: Path,
    *agents: Agent,
    environ: Mapping[str, str],
    settings: Settings | None = None,
    keeper: Gatekeeper | None = None,
) -> RunContextFactory:
    """Return a factory for runs of some agents."""
    by_name = {agent.name: agent for agent in agents or (ScriptedAgent(),)}
    return RunContextFactory(
        settings or Settings(),
        environ,
        logins=Logins(),
        agents=by_name,
        executor=executor,
        startup=Unlimited(),
        sockets=sockets,
        state=state,
        keeper=keeper,
    )


@asynccontextmanager
async def pipeline(state: StateDir, sockets: Path, environ: Mapping[str, str], failing: str = "") -> AsyncIterator[Pipeline]:
    """Yield a pipeline on the local executor whose boxes fail at one call."""
    async with LocalExecutor(state.path, environ=environ) as local:
        executor = FailingExecutor(local, failing)
        yield Pipeline(executor, contexts(state, executor, sockets, environ=environ), state)


async def failed(state_dir: Path, path: str, monkeypatch: pytest.MonkeyPatch, given: Draft) -> Run:
    """Carry out a run whose commit step fails."""
    with monkeypatch.context() as patch:
        patch.setenv("PATH", path)
        async with AgentService.open(state_dir) as service:
            [queued] = await service.submit([given])
            run = await service.wait(queued.id)
    assert (run.state, run.cause, uncommitted(run)) == (State.FAILED, "commit", True)
    return run
