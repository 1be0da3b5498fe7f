"""Runs that come of ended ones: the same task again, the same conversation, or a shell in its place."""

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence

from ccterm.agents.claude import ClaudeAgent
from ccterm.errors import UsageError
from ccterm.models import BatchId, ExecutionMode, Run, RunId, RunRef, Task, new_id
from ccterm.pipeline.continuation import CONVERSATION, began, continued_task, shell_task, undelivered
from ccterm.service.active import fresh_run, prepare
from ccterm.service.ended_runs import EndedRuns
from ccterm.service.equipment import Equipment
from ccterm.service.task_resolver import readable_notes
from ccterm.settings import Settings
from ccterm.settings.egress import covered, expanded, hosts_to_add
from ccterm.store import Submission
from ccterm.values import Terminal
from ccterm.workspace.repository import settings_key


class FurtherRuns(EndedRuns):
    """The part of the service that queues them in the process of the runs."""

    @abstractmethod
    async def _enqueue(
        self, runs: Sequence[Run], equipment: Equipment, at_once: int | None = None, submission: Submission | None = None
    ) -> list[Run]:
        """Queue runs and return them with their numbers."""

    async def retry(self, run: RunRef) -> Run:
        """Queue the same task again."""
        run = await self._id(run)
        old = await self._settled(run)
        if not old.state.final:
            raise UsageError(f"run {old.label} has not ended yet ({old.state})", f"ccterm cancel {old.ref} first")
        if old.task.terminal:
            raise UsageError(f"run {old.label} was a shell", f"ccterm shell {old.ref} opens another one")
        before = await asyncio.to_thread(self._store.get, old.continues) if old.continues else None
        session = old.session_id if before and before.session_id == old.session_id else None
        return await self._again(old, _reaching(old.task, old.allowed_hosts), continues=old.continues, session_id=session)

    async def continue_(self, run: RunRef, text: str, *, branch: str | None = None, fresh: bool = False) -> Run:
        """Go on with an ended run."""
        run = await self._id(run)
        known = await self._settled(run)
        if not known.state.final:
            raise UsageError(
                f"run {known.label} has not ended yet ({known.state})", f"ccterm steer {known.ref} sends its agent the message"
            )
        more = known.allowed_hosts
        known = await self._last_begun(run)
        if not await self._began(known) and not fresh:
            raise UsageError(
                f"the agent of run {known.label} never began, so there is no conversation that could go on",
                f"ccterm retry {known.ref} starts its task again",
            )
        task = _reaching(continued_task(known, text, branch, fresh=fresh), (*known.allowed_hosts, *more))
        undelivered(known)  # it must still be there
        started = await self._again(known, task, continues=known.id, session_id=None if fresh else known.session_id)
        await self.review(run)  # the user has seen it
        return started

    async def shell(self, run: RunRef, terminal: Terminal) -> Run:
        """Open a shell where an ended run's agent was."""
        run = await self._id(run)
        known = await self._settled(run)
        if not known.state.final:
            raise UsageError(f"run {known.label} has not ended yet ({known.state})", f"ccterm cancel {known.ref} first; its work is kept")
        if known.task.execution_mode is ExecutionMode.LOCAL:
            raise UsageError(f"run {known.label} had no container", f"ccterm show {known.ref} says where its work is; open a shell there")
        known = await self._last_begun(run)
        undelivered(known)  # it must still be there
        conversation = await asyncio.to_thread((self._state.run(known.id) / CONVERSATION).is_file)
        session = known.session_id if conversation else None
        return await self._again(known, _reaching(shell_task(known, terminal), known.allowed_hosts), continues=known.id, session_id=session)

    async def allow_hosts(self, run: RunRef, hosts: Sequence[str]) -> Run:
        """Let further runs reach more hosts."""
        known = await self.find(run)
        if known.task.egress.mode != "list":
            raise UsageError(f"run {known.label} may reach every host", "egress in the settings, or --egress, gives runs a list")
        try:
            wanted = expanded(hosts_to_add(hosts))
        except ValueError as error:
            said, _, fix = str(error).partition("; ")
            raise UsageError(f"the request {said}", fix) from error
        active = self._active.get(known.id)
        if active and not active.recorder.run.state.final:
            active.recorder.change(**_with_hosts(active.recorder.run, wanted))
            await active.recorder.save()
            return active.recorder.run
        async with self._changing(known.id):
            known = await self._settled(known.id)
            changed = known.model_copy(update=_with_hosts(known, wanted))
            await asyncio.to_thread(self._store.save, changed)
        return changed

    async def _last_begun(self, run: RunId) -> Run:
        """Return the run whose work and conversation go on: one whose agent never began left nothing to go on with. Raises StepError."""
        known = await self._committed(run)
        while known.continues and not await self._began(known):
            known = await self._committed(known.continues)
        return known

    async def _began(self, run: Run) -> bool:
        """Return whether the agent of an ended run began to work; of one that died with its daemon, its conversation alone may tell."""
        return began(run) or await asyncio.to_thread((self._state.run(run.id) / CONVERSATION).is_file)

    async def _again(self, old: Run, task: Task, *, continues: RunId | None, session_id: str | None = None) -> Run:
        """Queue a task as a further attempt."""
        equipment = await self._equipment(old.id)
        task = await asyncio.to_thread(_reading, task, equipment.settings, self.machine.environ)
        await prepare(equipment, [task])
        fresh = fresh_run(task, BatchId(new_id()), before=old.attempts or (old.id,))
        fresh = fresh.model_copy(update={"continues": continues, "session_id": session_id})
        [queued_run] = await self._enqueue([fresh], equipment)
        self._credentials.forget(old.id)
        return queued_run


def _with_hosts(run: Run, hosts: Sequence[str]) -> dict[str, object]:
    return {"allowed_hosts": tuple(dict.fromkeys((*run.allowed_hosts, *hosts)))}


def _reaching(task: Task, hosts: Sequence[str]) -> Task:
    """Return a task whose list has more hosts."""
    more = tuple(dict.fromkeys(host for host in hosts if not covered(host, task.egress.hosts)))
    return task.model_copy(update={"egress": task.egress.model_copy(update={"hosts": (*task.egress.hosts, *more)})}) if more else task


def _reading(task: Task, settings: Settings, environ: Mapping[str, str]) -> Task:
    """Return a task whose agent may read what the settings name now: no task itself says what. Blocks."""
    now = settings.for_repo(settings_key(task, environ)).git_read if (task.agent, task.login) == (ClaudeAgent.name, "gateway") else ()
    notes = [note for note in task.notes if note not in readable_notes(task.git_read)]
    return task.model_copy(update={"git_read": now, "notes": (*readable_notes(now), *notes)}) if now != task.git_read else task
