"""The tools: one class each, whose fields are its arguments and whose docstring tells a model what it is for."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import ConfigDict, Field

from ccterm import render
from ccterm.api.mcp.reports import LogPart, PatchPart, RunReport, RunReports, SteerAnswer
from ccterm.api.mcp.waiting import ended_or_after
from ccterm.api.permissions import Permissions
from ccterm.api.schemas import BATCH_SCHEMA
from ccterm.draft import MESSAGE_LENGTH
from ccterm.errors import UsageError
from ccterm.events import Event, Finished, Typing
from ccterm.models import Run, RunId
from ccterm.service.protocol import Service
from ccterm.values import Value

R = TypeVar("R", bound=Value)
RunName = Annotated[str, Field(min_length=1, max_length=250, description="A run's number, its branch, its id, or `last`")]
Seconds = Annotated[float, Field(ge=0, le=3600, description="How long to wait at most")]
_Shown = tuple[Event, Sequence[str]]
_LONGEST_LINE = 2000
_ENDING_SECONDS = 10.0
"""How long a run that is cancelled may take until its work is kept."""


@dataclass(frozen=True)
class Desk:
    """What tools work with. tell: reports progress to whoever asked, as one line."""

    service: Service
    permissions: Permissions
    tell: Callable[[str], Awaitable[None]]

    async def permitted(self, name: str) -> Run:
        """Return a run that may be given orders. Raises HttpProblem and UnknownRun."""
        run = await self.service.find(name)
        await asyncio.to_thread(self.permissions.require, run)
        return run

    async def report(self, run: RunId) -> RunReport:
        """Return what there is to say of a run now."""
        return RunReport.of(await self.service.find(run))


class Tool(Value, Generic[R]):
    """Base of all tools; R is what one answers with."""

    name: ClassVar[str]
    changes: ClassVar[bool] = True
    """Whether it changes anything."""
    answers: ClassVar[type[Value]]
    """R, for its schema."""

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """Return the schema of its arguments."""
        return {name: value for name, value in cls.model_json_schema().items() if name not in ("title", "description")}

    @abstractmethod
    async def call(self, desk: Desk) -> R:
        """Do it. Raises CctermError and HttpProblem for what is refused."""


class RunAgents(Tool[RunReports]):
    """Start agents on tasks, each in a box of its own, and return at once.

    With `branch`, a task works on a fresh clone and its commit is pushed there; `agent/...` names a new branch after the task. Without one it works on a snapshot of
    the working copy, and its changes come back into it unless a rule refuses them. An agent sees the repository and its task, nothing of your conversation: say all
    that it needs. Then call `wait`.
    """

    model_config = ConfigDict(extra="allow")  # read as a body of the HTTP API is, with the same refusals
    name = "run_agents"
    answers = RunReports

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """Return the schema of a body with several tasks."""
        return BATCH_SCHEMA

    async def call(self, desk: Desk) -> RunReports:
        """Queue them as one batch."""
        drafts, at_once = await asyncio.to_thread(desk.permissions.batch, self.model_extra or {})
        return RunReports.of(await desk.service.submit(drafts, max_concurrent=at_once))


class WaitForRuns(Tool[RunReports]):
    """Wait until runs have ended, or for so many seconds, and report each. Progress tells what the agents do meanwhile. The runs go on when this returns early: call it again."""

    name = "wait"
    changes = False
    answers = RunReports
    runs: Annotated[tuple[RunName, ...], Field(min_length=1, max_length=1000, description="Which runs")]
    seconds: Seconds = 300.0
    first: Annotated[bool, Field(description="Return as soon as one of them has ended")] = False

    async def call(self, desk: Desk) -> RunReports:
        """Follow them."""
        found = [await desk.service.find(name) for name in self.runs]
        return RunReports.of(await ended_or_after(desk.service, found, self.seconds, first=self.first, tell=desk.tell))


class ShowStatus(Tool[RunReports]):
    """Report runs as they are now: those that are named, else the newest ones."""

    name = "status"
    changes = False
    answers = RunReports
    runs: Annotated[tuple[RunName, ...], Field(max_length=1000, description="Which runs; none = the newest ones")] = ()
    limit: Annotated[int, Field(ge=1, le=200, description="How many of the newest, when none is named")] = 20

    async def call(self, desk: Desk) -> RunReports:
        """Look them up."""
        named = [await desk.service.find(name) for name in self.runs]
        return RunReports.of(named or await desk.service.runs(limit=self.limit))


class ReadLog(Tool[LogPart]):
    """Read a run's transcript: what its agent said and did, and what came of each step. The last lines, or those that follow `after`."""

    name = "read_log"
    changes = False
    answers = LogPart
    run: RunName
    after: Annotated[int | None, Field(ge=-1, description="`next` of an earlier answer; -1 = from the beginning")] = None
    most: Annotated[int, Field(ge=1, le=2000, description="How many lines, roughly")] = 200

    async def call(self, desk: Desk) -> LogPart:
        """Read what is recorded."""
        run = await desk.service.find(self.run)
        start = -1 if self.after is None else self.after
        events = [event async for event in desk.service.follow(run.id, after=start, live=False) if not isinstance(event, Typing)]
        shown = [(event, lines) for event in events if (lines := _lines(event))]
        chosen = _first(shown, self.most) if self.after is not None else _first(shown[::-1], self.most)[::-1]
        cut_off = self.after is not None and len(chosen) < len(shown)
        last = chosen[-1][0].seq if cut_off else max((event.seq for event in events), default=start)
        ended = not cut_off and (run.state.final or any(isinstance(event, Finished) for event in events))
        return LogPart(run=run.ref, lines=tuple(line for _, lines in chosen for line in lines), next=last, ended=ended)


def _lines(event: Event) -> list[str]:
    return [line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…" for line in render.lines(event)]


def _first(shown: Sequence[_Shown], most: int) -> Sequence[_Shown]:
    """Return the first events with at most so many lines; one event at least."""
    count = 0
    for number, (_, lines) in enumerate(shown):
        count += len(lines)
        if count > most:
            return shown[: max(number, 1)]
    return shown


class ShowDiff(Tool[PatchPart]):
    """Show what a run changed, as a unified diff with secrets masked: of a run that has ended, whether its work was delivered or is kept."""

    name = "diff"
    changes = False
    answers = PatchPart
    run: RunName
    offset: Annotated[int, Field(ge=0, description="`next` of an earlier answer")] = 0
    most: Annotated[int, Field(ge=1000, le=1_000_000, description="How many characters")] = 50_000

    async def call(self, desk: Desk) -> PatchPart:
        """Read the patch."""
        run = await desk.service.find(self.run)
        patch = await desk.service.patch(run.id)
        if patch is None:
            raise UsageError(f"run {run.label} has no changes to show ({run.state})", "wait until it has ended" * (not run.state.final))
        text, end = patch.decode("utf-8", "replace"), self.offset + self.most
        known = await desk.service.find(run.id)
        return PatchPart(run=run.ref, changes=known.changes, patch=text[self.offset : end], next=end if end < len(text) else None)


class SteerRun(Tool[SteerAnswer]):
    """Send a message to the agent of a run that is under way; it takes it up after the tool that it is using."""

    name = "steer"
    answers = SteerAnswer
    run: RunName
    text: Annotated[str, Field(min_length=1, max_length=MESSAGE_LENGTH, description="What to tell the agent")]

    async def call(self, desk: Desk) -> SteerAnswer:
        """Send it and wait for the answer a moment."""
        run = await desk.permitted(self.run)
        answer = await desk.service.say(run.id, self.text)
        return SteerAnswer(run=run.ref, taken=answer.taken if answer else None, detail=answer.detail if answer else "")


class ContinueRun(Tool[RunReport]):
    """Go on with a run that has ended: the same conversation, on the same branch or working copy, for a follow-up. Returns the new run; then call `wait`."""

    name = "continue_run"
    answers = RunReport
    run: RunName
    text: Annotated[str, Field(min_length=1, max_length=MESSAGE_LENGTH, description="What the agent should do now")]
    branch: Annotated[str | None, Field(description="A new branch instead, from where the run began")] = None
    fresh: Annotated[bool, Field(description="Begin a new conversation, which is told what came of the earlier one")] = False

    async def call(self, desk: Desk) -> RunReport:
        """Queue it."""
        run = await desk.permitted(self.run)
        return RunReport.of(await desk.service.continue_(run.id, self.text, branch=self.branch, fresh=self.fresh))


class CancelRun(Tool[RunReport]):
    """Stop a run. What its agent has done so far is kept: `diff` shows it, `continue_run` goes on with it."""

    name = "cancel"
    answers = RunReport
    run: RunName

    async def call(self, desk: Desk) -> RunReport:
        """Stop it and wait until its work is kept."""
        run = await desk.service.find(self.run)
        await desk.service.cancel(run.id)
        await ended_or_after(desk.service, [run], _ENDING_SECONDS, first=False, tell=desk.tell)
        return await desk.report(run.id)


class PushRun(Tool[RunReport]):
    """Push work that was kept of a run to its branch, by the same rules as at its end: after a failed push, a failed verify, a cancelled or stopped run."""

    name = "push"
    answers = RunReport
    run: RunName

    async def call(self, desk: Desk) -> RunReport:
        """Push it."""
        run = await desk.permitted(self.run)
        await desk.service.push(run.id)
        return await desk.report(run.id)


TOOLS: tuple[type[Tool[Any]], ...] = (
    RunAgents, WaitForRuns, ShowStatus, ReadLog, ShowDiff, SteerRun, ContinueRun, CancelRun, PushRun,
)  # fmt: skip
