"""Runs one step program in its box. stdin is its parent watch, stdout carries frames, stderr is kept for when it fails."""

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
from ccterm.executors.local.box import Box, box_error
from ccterm.executors.local.environment import environment
from ccterm.executors.local.kill import kill_tree
from ccterm.executors.local.records import BoxRecord
from ccterm.processes import ProcessMark

CHUNK = 256 * 1024
_FLAGS = ("-I", "-S")
"""Programs of boxes need nothing beyond the standard library, and without `site` they start faster."""
_TAIL = 4096
_EXIT_SECONDS = 0.5
"""Seconds that a program has to end, with its process tree, after its stdin is closed."""
_KILL_SECONDS = 2.0
"""Seconds to wait for a killed process."""

T = TypeVar("T")


@dataclass
class ProgramResult:
    """How a program ended: its report, or why there is none."""

    report: Mapping[str, JsonValue] | None = None
    detail: str = ""
    seconds: float = 0.0


async def run_program(step: Step, box: Box, bundle: Path, user_env: Mapping[str, str], on_frame: FrameSink) -> ProgramResult:
    """Run the program to its end. When cancelled, its whole process tree is dead before this returns."""
    program = _Program(step, box, on_frame)
    started = time.monotonic()
    try:
        await uninterrupted(program.start(bundle, user_env))
        result = await program.watch()
    finally:
        await uninterrupted(program.clean_up())
    result.seconds = time.monotonic() - started
    return result


async def uninterrupted(work: Awaitable[T]) -> T:
    """Finish `work` even when cancelled, then raise the cancellation."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):  # a user may cancel twice
                await asyncio.wait([task])
        raise


class _Program:
    def __init__(self, step: Step, box: Box, on_frame: FrameSink) -> None:
        self._step, self._box, self._on_frame = step, box, on_frame
        self._mark = secrets.token_hex(16)
        self._frames = FrameReader()
        self._result = ProgramResult()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, bundle: Path, user_env: Mapping[str, str]) -> None:
        try:
            await self._start(bundle, user_env)
        except OSError as error:
            raise box_error(f"step {self._step.name} cannot be started", error) from error

    async def _start(self, bundle: Path, user_env: Mapping[str, str]) -> None:
        mounts = tuple(dict.fromkeys([*self._step.inputs, *self._step.outputs]))
        owner = ProcessMark.of(os.getpid())
        assert owner is not None  # this process is alive
        record = BoxRecord(mark=self._mark, owner=owner, mounts=mounts, tmp=self._box.outside_tmp)
        record.write(self._box.record, self._box.storage)  # before the process starts: only recorded processes are reaped
        self._box.move_inputs()
        with self._box.stderr.open("wb") as stderr:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, *_FLAGS, str(bundle / "__main__.py"), self._step.program, "request.json"),
                cwd=self._box.root,
                env=environment(self._step, user_env, self._box, self._mark),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
                limit=CHUNK,
            )
        record.model_copy(update={"process": ProcessMark.of(self._process.pid)}).write(self._box.record, self._box.storage)

    async def watch(self) -> ProgramResult:
        assert self._process is not None
        assert self._process.stdout is not None
        limit = self._step.timeout.total_seconds()
        try:
            async with asyncio.timeout(limit):
                await self._read_frames(self._process.stdout)
                self._check_end(await self._process.wait())
        except TimeoutError:
            self._result = ProgramResult(detail=f"the step did not end within {limit:g} s")
        except FrameError as error:
            self._result = ProgramResult(detail=f"the step program failed: {error}; {self._last_line()}")
        return self._result

    async def clean_up(self) -> None:
        """Make sure that no process of the program is left."""
        process = self._process
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        if process.returncode is None or not self._frames.ended:
            await self._wait(_EXIT_SECONDS)
            await asyncio.to_thread(kill_tree, self._mark, process.pid if process.returncode is None else None)
            await self._wait(_KILL_SECONDS)

    async def _wait(self, seconds: float) -> None:
        if self._process:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), seconds)

    async def _read_frames(self, stdout: asyncio.StreamReader) -> None:
        while data := await stdout.read(CHUNK):
            for frame in self._frames.feed(data):
                if frame["k"] == "report":
                    self._result.report = frame["report"]
                self._on_frame(frame)
        self._frames.close()

    def _check_end(self, code: int) -> None:
        if not self._frames.ended:
            self._result = ProgramResult(detail=f"the step program ended early (exit {code}); {self._last_line()}")
        elif self._result.report is None:
            self._result = ProgramResult(detail="the step program ended without a report")

    def _last_line(self) -> str:
        with self._box.stderr.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            return file.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
