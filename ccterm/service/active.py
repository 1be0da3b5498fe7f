"""From drafts to a run that is queued or under way: the steps of a submission."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TypeVar
from weakref import WeakValueDictionary

from ccterm.draft import BatchFile, Draft, anchored
from ccterm.errors import UsageError
from ccterm.models import BatchId, Run, RunId, Task, new_id, now
from ccterm.pipeline.run_control import RunControl
from ccterm.record import Recorder
from ccterm.service.credential_gate import AgentLogin
from ccterm.service.environments import Environments
from ccterm.service.equipment import Equipment
from ccterm.service.gates import QueueEntry
from ccterm.service.scheduler import Scheduler
from ccterm.store import Store, Submission
from ccterm.values import to_json

T = TypeVar("T")


@dataclass
class Active:
    """A run that is queued or under way here."""

    recorder: Recorder
    control: RunControl
    equipment: Equipment
    entry: QueueEntry | None = None
    """What the scheduler was told; None = nothing yet."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once its last step, its boxes and its record are closed."""

    @property
    def login(self) -> AgentLogin | None:
        """The login of its agent."""
        return self.entry.credential if self.entry else None

    async def supply(self, environments: Environments, scheduler: Scheduler, *, refused: bool) -> None:
        """Give a queued run the secrets that were brought, for those that it lost or for a refused login."""
        fresh = await environments.again(self.equipment, refused=refused)
        if fresh is None or self.entry is None:
            return
        login = await login_of(fresh, self.recorder.run.task)
        if scheduler.waits(self.entry.run):
            self.equipment, self.entry = fresh, replace(self.entry, credential=login)
            scheduler.submit(self.entry)


async def tasks_of(equipment: Equipment, drafts: Sequence[Draft], source: BatchFile | None = None) -> list[Task]:
    """Return what drafts come to. Raises UsageError and PreflightError: what is wrong with one of them before what this machine lacks."""
    tasks = await _all_of(asyncio.to_thread(equipment.resolve, anchored(draft), source) for draft in drafts)
    await _all_of(asyncio.to_thread(equipment.require_able, task) for task in tasks)
    return tasks


async def _all_of(questions: Iterable[Awaitable[T]]) -> list[T]:
    """Return the answers to questions that are asked at once. Raises what the first one of them raises, whichever is answered first."""
    answers = await asyncio.gather(*questions, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]


async def prepare(equipment: Equipment, tasks: Sequence[Task]) -> None:
    """Make sure that all tasks can run in their execution mode before any of them is recorded. Raises PreflightError."""
    different = {(task.execution_mode, task.image, task.agent, task.egress.mode): task for task in tasks}  # in what is asked there
    for task in different.values():
        await equipment.pipelines[task.execution_mode].prepare(task)


def fresh_run(task: Task, batch: BatchId, *, before: tuple[RunId, ...] = ()) -> Run:
    """Return a new run. before: earlier attempts at its task."""
    run = RunId(new_id())
    return Run(id=run, batch=batch, task=task, created=now(), attempts=(*before, run))


async def login_of(equipment: Equipment, task: Task) -> AgentLogin | None:
    """Return the login of a task's agent, once something is known of it."""
    login = equipment.login(task)
    if login and login.stale(now()):
        await asyncio.to_thread(login.look, now())
    return login


def submission_of(key: str | None, drafts: Sequence[Draft], max_concurrent: int | None, batch: BatchId) -> Submission | None:
    """Return what is submitted under a key; None = it has none. Raises UsageError."""
    if key is None:
        return None
    lines = [*(to_json(anchored(draft)) for draft in drafts), str(max_concurrent).encode()]
    return Submission(key, sha256(b"\n".join(lines)).hexdigest(), batch)


class Submissions:
    """What was submitted under keys: the same order given again, after whatever went wrong, starts nothing anew."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._under_way = WeakValueDictionary[str, asyncio.Lock]()

    async def once(self, submission: Submission, carry_out: Callable[[], Awaitable[list[Run]]]) -> list[Run]:
        """Carry out a submission, which must be stored with its runs, or return the runs of the first time. Raises UsageError for another one."""
        async with self._under_way.setdefault(submission.key, asyncio.Lock()):
            known = await asyncio.to_thread(self._store.submission, submission.key)
            if known is None:
                return await carry_out()
        if known.digest != submission.digest:
            raise UsageError(f"the key {submission.key} was used for another submission", "give each submission a key of its own")
        return await asyncio.to_thread(lambda: self._store.list(batch=known.batch))
