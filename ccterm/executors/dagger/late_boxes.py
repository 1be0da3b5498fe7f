"""Boxes that can be had at once, while their engine is still being connected: what runs on the host first need not wait for it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import JsonValue

from ccterm.executors.base import Artifact, FrameSink, Step, StepResult
from ccterm.executors.control import Control

if TYPE_CHECKING:  # the SDK is imported when an engine is first used
    from ccterm.executors.dagger.boxes import DaggerBoxes

T = TypeVar("T")


class LateBoxes:
    """The boxes of one run; whoever needs them first waits until they are there. image: digest of the image that they will be made from.

    Every method raises what opening them raised.
    """

    directory: Path | None = None

    def __init__(self, image: str | None, opening: "asyncio.Future[DaggerBoxes]") -> None:
        self.image = image
        self._opening = opening

    async def execute(self, step: Step, on_frame: FrameSink, control: Control | None = None) -> StepResult:
        """Run a step in its own container."""
        return await (await asyncio.shield(self._opening)).execute(step, on_frame, control)

    async def provide(self, path: Path, *, exclude: Sequence[str] = ()) -> Artifact:
        """Copy a host directory into an artifact."""
        return await (await asyncio.shield(self._opening)).provide(path, exclude=exclude)

    async def live_patch(self, request: Mapping[str, JsonValue], clean: Artifact, left: Artifact | None) -> bytes | None:  # noqa: ARG002
        """Return None: the agent's tree is in its container."""
        return None

    async def collect(self, artifact: Artifact, to: Path, *, last_use: bool = False) -> None:
        """Copy an artifact to a new private directory."""
        await (await asyncio.shield(self._opening)).collect(artifact, to, last_use=last_use)


@asynccontextmanager
async def entered_meanwhile(manager: AbstractAsyncContextManager[T]) -> AsyncIterator[asyncio.Future[T]]:
    """Enter a context manager in the background for the duration of the block, which gets a future of what it yields, or of its error."""
    ready: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()
    task = asyncio.ensure_future(_hold(manager, ready, over))
    try:
        yield ready
    finally:
        over.set()
        if not ready.done():
            task.cancel()
        await asyncio.wait([task])
        if ready.done() and not ready.cancelled():
            ready.exception()  # nobody may have asked for it, and asyncio need not warn
        if not task.cancelled():
            task.result()


async def _hold(manager: AbstractAsyncContextManager[T], ready: asyncio.Future[T], over: asyncio.Event) -> None:
    try:
        async with manager as entered:
            ready.set_result(entered)
            await over.wait()
    except Exception as error:
        if ready.done():
            raise
        ready.set_exception(error)
