"""Runs one step program in its box: its stdin is the life line, its stdout frames, its stderr kept for when it fails."""

import asyncio
import contextlib
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

from ccterm.executors.base import FrameSink, Step
from ccterm.executors.frames import FrameError, FrameReader
from ccterm.executors.local.box import Box, box_fault
from ccterm.executors.local.environment import environment
from ccterm.executors.local.kill import kill_tree
from ccterm.executors.local.records import Record
from ccterm.processes import ProcessMark

CHUNK = 256 * 1024
_TAIL = 4096
_LEAVE = 0.5
"""Seconds that a program has to end by itself, with its tree, when its life line is cut."""
_DIE = 2.0
"""Seconds that we wait for what was killed."""

T = TypeVar("T")


@dataclass
class Ending:
    """How a program ended."""

    report: Mapping[str, JsonValue] | None = None
    detail: str = ""
    seconds: float = 0.0


async def run_program(step: Step, box: Box, lib: Path, user_env: Mapping[str, str], on_frame: FrameSink) -> Ending:
    """Run the program to its end; cancelled, it is dead with its whole tree before this returns."""
    program = _Program(step, box, on_frame)
    begin = time.monotonic()
    try:
        await uninterrupted(program.start(lib, user_env))
        ending = await program.watch()
    finally:
        await uninterrupted(program.clear_up())
    ending.seconds = time.monotonic() - begin
    return ending


async def uninterrupted(work: Awaitable[T]) -> T:
    """Finish this even when cancelled, then be cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):  # an impatient user cancels twice
                await asyncio.wait([task])
        raise


class _Program:
    def __init__(self, step: Step, box: Box, on_frame: FrameSink) -> None:
        self._step, self._box, self._on_frame = step, box, on_frame
        self._mark = secrets.token_hex(16)
        self._frames = FrameReader()
        self._ending = Ending()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, lib: Path, user_env: Mapping[str, str]) -> None:
        try:
            await self._start(lib, user_env)
        except OSError as error:
            raise box_fault(f"step {self._step.name} cannot be started", error) from error

    async def _start(self, lib: Path, user_env: Mapping[str, str]) -> None:
        mounts = tuple(dict.fromkeys([*self._step.inputs, *self._step.outputs]))
        owner = ProcessMark.of(os.getpid())
        assert owner is not None  # we live
        record = Record(mark=self._mark, owner=owner, mounts=mounts, tmp=self._box.outside)
        record.write(self._box.record)  # before the process: what is not recorded is never reaped
        self._box.take_over()
        with self._box.complaints.open("wb") as complaints:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", str(lib / "__main__.py"), self._step.program, "request.json"),
                cwd=self._box.root,
                env=environment(self._step, user_env, self._box, self._mark),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=complaints,
                start_new_session=True,
                limit=CHUNK,
            )
        record.model_copy(update={"process": ProcessMark.of(self._process.pid)}).write(self._box.record)

    async def watch(self) -> Ending:
        assert self._process is not None
        assert self._process.stdout is not None
        limit = self._step.timeout.total_seconds()
        try:
            async with asyncio.timeout(limit):
                await self._read_frames(self._process.stdout)
                self._judge(await self._process.wait())
        except TimeoutError:
            self._ending = Ending(detail=f"the step did not end within {limit:g} s")
        except FrameError as error:
            self._ending = Ending(detail=f"the step program broke off: {error}; {self._last_words()}")
        return self._ending

    async def clear_up(self) -> None:
        """Make sure that nothing of the program lives."""
        process = self._process
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        if process.returncode is None or not self._frames.ended:
            await self._wait(_LEAVE)
            await asyncio.to_thread(kill_tree, self._mark, process.pid if process.returncode is None else None)
            await self._wait(_DIE)

    async def _wait(self, seconds: float) -> None:
        if self._process:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), seconds)

    async def _read_frames(self, stdout: asyncio.StreamReader) -> None:
        while data := await stdout.read(CHUNK):
            for frame in self._frames.feed(data):
                if frame["k"] == "report":
                    self._ending.report = frame["report"]
                self._on_frame(frame)
        self._frames.close()

    def _judge(self, code: int) -> None:
        if not self._frames.ended:
            self._ending = Ending(detail=f"the step program ended too soon (exit {code}); {self._last_words()}")
        elif self._ending.report is None:
            self._ending = Ending(detail="the step program ended without a report")

    def _last_words(self) -> str:
        with self._box.complaints.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            return file.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
