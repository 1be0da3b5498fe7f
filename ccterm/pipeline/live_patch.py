"""What an agent has changed up to now, as a patch that people may see: read from its tree on this machine, or from a new checkpoint of it."""

import asyncio
from contextlib import suppress
from pathlib import Path

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.executors.base import Boxes
from ccterm.models import RunId
from ccterm.pipeline import step_specs
from ccterm.pipeline.checkpoints import CheckpointReceiver, CheckpointStore
from ccterm.pipeline.context import WorkContext
from ccterm.pipeline.run_control import RunControl
from ccterm.pipeline.targets import Checkout

CHECKPOINT_SECONDS = 30.0
"""How long somebody who looks waits for a new checkpoint; then it is the last one that is shown."""


class LivePatch:
    """The patch of one running agent, in a file that all readers share. path: that file."""

    def __init__(self, work: WorkContext, boxes: Boxes, control: RunControl, path: Path) -> None:
        self._work, self._boxes, self._control, self._path = work, boxes, control, path
        self._one_at_a_time = asyncio.Lock()

    async def bring_up_to_date(self, checkout: Checkout, run: RunId, store: CheckpointStore, receiver: CheckpointReceiver) -> None:
        """Write the patch as it is now. checkout: what the agent started from. Raises StepError."""
        body = step_specs.commit_body("", run=run, model=self._work.task.model)
        request = step_specs.commit_request(self._work.task, self._work.commit, base=checkout.base, body=body)
        async with self._one_at_a_time:
            patch = await self._boxes.live_patch(request, checkout.clean, checkout.left)
            if patch is None:
                patch = await self._of_checkpoint(store, receiver)
            try:
                await asyncio.to_thread(self._write, patch)
            except OSError as error:
                raise StepError(Cause.DISK, f"the diff cannot be written: {error.strerror}", "free some space") from error

    async def _of_checkpoint(self, store: CheckpointStore, receiver: CheckpointReceiver) -> bytes:
        with suppress(TimeoutError):
            if await self._control.order_checkpoint():
                async with asyncio.timeout(CHECKPOINT_SECONDS):
                    await self._control.looked.wait()
        await receiver.settled()
        try:
            checkpoint = await asyncio.to_thread(store.read)
            return await asyncio.to_thread(store.file, checkpoint, "work.patch") if checkpoint else b""
        except (OSError, ValueError) as error:
            raise StepError(Cause.COMMIT, f"the last checkpoint cannot be read: {error}", "try again") from error

    def _write(self, patch: bytes) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.write_bytes(self._work.output.painted(patch))
        fresh.rename(self._path)

    async def forget(self) -> None:
        """Remove it: the agent has ended."""
        await asyncio.to_thread(self._path.unlink, missing_ok=True)
