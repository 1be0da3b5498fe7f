"""Runs that a caller waits for, what happens meanwhile, and what becomes of them when the caller no longer waits."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple, TypeVar, Unpack

from ccterm.draft import BatchFile, Draft, DraftDefaults, DraftFields, applied, draft_with
from ccterm.errors import CctermError
from ccterm.events import Event
from ccterm.models import Run, RunRef
from ccterm.service.reader import Reader

T = TypeVar("T")
OnEvent = Callable[[Run, Event], None]
"""Is called with each event of a run, in the event loop, and with the document that the run had when it was queued."""
_stopping = set[asyncio.Task[None]]()
"""The loop itself holds on to no task."""


class Completed(NamedTuple):
    """A run that has ended, and how many of those that began together have."""

    run: Run
    done: int
    total: int


class AwaitedRuns(Reader):
    """The part of a service that carries tasks to their ends for a caller.

    A run that fails is returned like any other: `state`, `cause`, `summary` and `action` say what became of it. Raised is only what kept
    tasks from being queued: UsageError, PreflightError, StateError, DaemonError.

    When the caller no longer waits (its task is cancelled, a timeout ends, it leaves `as_completed`), the runs that have not ended are
    cancelled, and the call returns once they have ended and their work is kept; a second cancellation does not wait for that. With `detach`
    they go on instead, for as long as the process that carries them out: the daemon, or this one while the service is open.
    """

    @abstractmethod
    async def submit(self, drafts: Sequence[Draft], *, max_concurrent: int | None = None, source: BatchFile | None = None) -> list[Run]:
        """Queue tasks as one batch and return their runs at once."""

    @abstractmethod
    async def cancel(self, run: RunRef, *, now: bool = False) -> None:
        """Stop a run."""

    async def run(self, *, detach: bool = False, on_event: OnEvent | None = None, **task: Unpack[DraftFields]) -> Run:
        """Run one task to its end and return the run, a failed one like any other.

        With a branch its work is pushed. Without one it comes into the working copy unless a rule refuses it; `apply=False` keeps it, and
        `Service.apply` brings it in. Cancelling this cancels the run, whose work is kept; with `detach` it goes on. Raises UsageError or
        PreflightError before anything starts.
        """
        return (await self.run_parallel([task], detach=detach, on_event=on_event))[0]

    async def run_parallel(
        self,
        tasks: Sequence[Draft | DraftFields],
        *,
        max_concurrent: int | None = None,
        detach: bool = False,
        on_event: OnEvent | None = None,
        **defaults: Unpack[DraftDefaults],
    ) -> list[Run]:
        """Run tasks side by side to their ends and return the runs in the order given, failed ones like any other.

        max_concurrent: how many run at once; None = as the settings say. defaults: fields of all tasks that do not give them themselves.
        Else as `run`.
        """
        drafts = [applied(draft_with(task, defaults)) for task in tasks]
        async with self._attended(drafts, max_concurrent, detach=detach) as queued, _tasks(self._followed(queued, on_event)) as ends:
            return await asyncio.gather(*ends)

    async def as_completed(
        self,
        tasks: Sequence[Draft | DraftFields],
        *,
        max_concurrent: int | None = None,
        detach: bool = False,
        on_event: OnEvent | None = None,
        **defaults: Unpack[DraftDefaults],
    ) -> AsyncGenerator[Completed, None]:
        """Run tasks side by side and yield each run as it ends, with how many have. Arguments as those of `run_parallel`.

        Leaving the loop early cancels the other runs; `contextlib.aclosing` makes sure that they have ended when it is left.
        """
        drafts = [applied(draft_with(task, defaults)) for task in tasks]
        async with self._attended(drafts, max_concurrent, detach=detach) as queued, _tasks(self._followed(queued, on_event)) as ends:
            for done, end in enumerate(asyncio.as_completed(ends), start=1):
                yield Completed(await end, done, len(ends))

    @asynccontextmanager
    async def _attended(self, drafts: Sequence[Draft], max_concurrent: int | None, *, detach: bool) -> AsyncIterator[list[Run]]:
        """Queue tasks; leaving the block by an exception stops their runs, unless `detach`."""
        submitting = asyncio.ensure_future(
            self.submit(drafts, max_concurrent=max_concurrent)
        )  # whole: no run may be left without its caller
        try:
            yield await asyncio.shield(submitting)
        except BaseException:
            if not detach:
                stopping = asyncio.ensure_future(self._stopped(submitting))
                _stopping.add(stopping)
                stopping.add_done_callback(_stopping.discard)
                await asyncio.shield(stopping)
            raise

    async def _stopped(self, submitting: asyncio.Task[list[Run]]) -> None:
        """Cancel the runs that have not ended, and return once they have."""
        with suppress(CctermError):  # none was queued, or there is no daemon any more
            queued = await submitting
            for run in queued:
                with suppress(CctermError):  # it has ended
                    await self.cancel(run.id)
            for run in queued:
                await self.wait(run.id)

    def _followed(self, runs: Sequence[Run], on_event: OnEvent | None) -> Sequence[Coroutine[None, None, Run]]:
        async def followed(run: Run) -> Run:
            async for event in self.follow(run.id):
                if on_event:
                    on_event(run, event)
            return await self.find(run.id)

        return [followed(run) for run in runs]


@asynccontextmanager
async def _tasks(work: Sequence[Coroutine[None, None, T]]) -> AsyncIterator[Sequence[asyncio.Task[T]]]:
    """Carry out coroutines while the block lasts."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
