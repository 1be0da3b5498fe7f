"""What the making of an image prints: cleaned, into a transcript of its own, and line by line to whoever watches."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from ccterm.events import Finished, Printed, Queued
from ccterm.executors.dagger.command import progress
from ccterm.executors.dagger.records import LogRecord
from ccterm.models import RunId, State, new_id
from ccterm.output.clean import Cleaner
from ccterm.output.mask import Masker
from ccterm.transcript import Transcript

_SETTLE = 1.0
"""Seconds; both streams of an exec end within a tenth of one after its answer."""
_STREAMS: dict[int, Literal["stdout", "stderr"]] = {1: "stdout", 2: "stderr"}


class BuildLog:
    """Listens to the execs that make an image."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._cleaner = Cleaner(Masker({}))
        self._ends = asyncio.Semaphore(0)

    @classmethod
    @asynccontextmanager
    async def open(cls, place: Path, what: str) -> AsyncIterator["BuildLog"]:
        """Begin a fresh transcript in a directory, which ends with the block. Raises StateError."""
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
        transcript = Transcript(place, RunId(new_id()))
        transcript.append([Queued(target=what)])
        state = State.FAILED
        try:
            yield cls(transcript)
            state = State.SUCCEEDED
        finally:
            transcript.append([Finished(state=state)])
            await transcript.close()

    def record(self, record: LogRecord) -> None:
        """Take a piece of output."""
        if record.eof:
            self._ends.release()
        if not record.text:
            return
        text = self._cleaner.text(record.text)
        self._transcript.append([Printed(stream=_STREAMS[record.stream], text=text)])
        for line in text.splitlines():
            if line.strip():
                progress.debug("%s", line.rstrip())

    async def settled(self) -> None:
        """Wait for the last words of an exec that the engine has answered: they come a little later, or not at all when it was cached."""
        self._ends = asyncio.Semaphore(0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE):
                for _ in _STREAMS:
                    await self._ends.acquire()

    def restart(self) -> None:
        """Nothing to do: a line told twice does no harm."""
