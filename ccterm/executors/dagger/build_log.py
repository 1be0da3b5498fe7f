"""The output of an image build: cleaned, written to its own transcript, and reported line by line as progress."""

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
from ccterm.output.own_text import cleaner
from ccterm.transcript import Transcript

_SETTLE = 1.0
"""Seconds to wait for the ends of an exec's streams, which come within 0.1 s of its answer."""
_STREAMS: dict[int, Literal["stdout", "stderr"]] = {1: "stdout", 2: "stderr"}


class BuildLog:
    """Takes the output of the execs that build an image."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        clean = cleaner()
        self._clean = {stream: clean.stream() for stream in _STREAMS}
        self._ends = asyncio.Semaphore(0)

    @classmethod
    @asynccontextmanager
    async def open(cls, directory: Path, what: str) -> AsyncIterator["BuildLog"]:
        """Start a new transcript in a directory for the duration of the block. Raises StateError."""
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        transcript = Transcript(directory, RunId(new_id()))
        transcript.append([Queued(target=what)])
        state, log = State.FAILED, cls(transcript)
        try:
            yield log
            state = State.SUCCEEDED
        finally:
            for stream, clean in log._clean.items():
                log._print(stream, clean.flush())
            transcript.append([Finished(state=state)])
            await transcript.close()

    def record(self, record: LogRecord) -> None:
        """Take a piece of output."""
        text = self._clean[record.stream].feed(record.text)
        if record.eof:
            text += self._clean[record.stream].flush()
            self._ends.release()
        self._print(record.stream, text)

    def _print(self, stream: int, text: str) -> None:
        if not text:
            return
        self._transcript.append([Printed(stream=_STREAMS[stream], text=text)])
        for line in text.splitlines():
            if line.strip():
                progress.debug("%s", line.rstrip())

    async def settle(self) -> None:
        """Wait for the rest of the output of an exec that has ended: it comes a little later, or never when it was cached."""
        self._ends = asyncio.Semaphore(0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE):
                for _ in _STREAMS:
                    await self._ends.acquire()

    def restart(self) -> None:
        """Do nothing: reporting a line twice does no harm."""
