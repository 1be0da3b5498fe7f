"""The `dagger session` process. ccterm starts, watches and ends it itself, because the SDK would wait ten minutes for a dead engine."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from ccterm.errors import PreflightError
from ccterm.executors.dagger.command import NEUTRAL, child_environment, progress
from ccterm.git.bounded_json import read_json

DIAL_SECONDS = 5.0
NAMED_SECONDS = 10.0
"""Seconds that a named engine that accepts connections may take to open a session."""
SILENT_SECONDS = 90.0
"""Seconds that the CLI may print nothing while it starts an engine itself."""
END_SECONDS = 5.0
_LABELS = ("--label", "dagger.io/sdk.name:python", "--label", "dagger.io/sdk.async:true")
_TAIL = 20
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Address(NamedTuple):
    """The loopback port that a session listens on, and its token."""

    port: int
    token: str


@asynccontextmanager
async def cli_session(cli: Path, environ: Mapping[str, str], runner: str | None) -> AsyncIterator["CliSession"]:
    """Start a process and wait until it is connected; leaving ends it. Raises PreflightError as `CliSession.start` does."""
    child = await CliSession.start(cli, environ, runner)
    try:
        yield child
    finally:
        await child.end()


class CliSession:
    """One `dagger session` process. `start` returns once it is connected to its engine; `end` takes at most five seconds."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self._name = name
        self._lines: list[str] = []
        self._last_output = time.monotonic()
        self._reading = asyncio.ensure_future(self._read_stderr())
        self.address = Address(0, "")

    @classmethod
    async def start(cls, cli: Path, environ: Mapping[str, str], runner: str | None) -> "CliSession":
        """Start one and wait until it is connected. Raises PreflightError, within ten seconds when `runner` names the engine."""
        name = runner or "the engine of the Dagger CLI"
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *(cli.absolute(), "session", *_LABELS),
                cwd=NEUTRAL,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env=child_environment(environ, runner),
                start_new_session=True,  # so that Ctrl-C does not reach it
                limit=1024 * 1024,
            )
        except OSError as error:
            raise PreflightError(f"{cli} cannot be started: {error.strerror}", "name another CLI in CCTERM_DAGGER_CLI") from error
        child = cls(process, name)
        try:
            child.address = await child._greeting(NAMED_SECONDS if runner else None)
        except BaseException:
            await child.end()
            raise
        return child

    async def _greeting(self, limit: float | None) -> Address:
        assert self._process.stdout is not None
        line = asyncio.ensure_future(self._process.stdout.readline())
        started = self._last_output = time.monotonic()
        while not line.done():
            await asyncio.wait([line], timeout=0.1)
            if time.monotonic() > (started + limit if limit else self._last_output + SILENT_SECONDS) and not line.done():
                line.cancel()
                raise PreflightError(f"{self._name} did not open a session in time", self._advice())
        try:
            greeting = read_json(line.result())
            return Address(int(greeting["port"]), str(greeting["session_token"]))
        except (ValueError, KeyError, TypeError) as error:
            await self._reading  # its error message is on stderr
            raise PreflightError(f"{self._name} cannot be used: {self.last_error or 'it gave no reason'}", self._advice()) from error

    def _advice(self) -> str:
        text = " ".join(self._lines).lower()
        if "permission denied" in text and "sock" in text:
            return "add yourself to the docker group, or use rootless Docker; or use --mode local"
        if any(word in text for word in ("docker", "container", "runtime")):
            return "start Docker (or colima, podman), then ccterm check; or use --mode local"
        return "check CCTERM_ENGINE and ccterm check; or use --mode local"

    async def _read_stderr(self) -> None:
        """Read its stderr to the end. What it prints while it pulls an engine is progress; its last lines say why it failed."""
        assert self._process.stderr is not None
        while line := await self._next_line(self._process.stderr):
            self._last_output = time.monotonic()
            text = _COLOUR.sub("", line.decode("utf-8", "replace")).strip()
            if text:
                self._lines = [*self._lines, text][-_TAIL:]
                if not self.address.port and not text.startswith("Error:"):  # errors are reported once, with the fix
                    progress.info("dagger: %s", text)

    @staticmethod
    async def _next_line(stream: asyncio.StreamReader) -> bytes:
        try:
            return await stream.readline()
        except ValueError:
            return b"\n"  # a line over the limit is not worth showing

    @property
    def last_error(self) -> str:
        """The last error that it printed, else its last line, or ""."""
        errors = [line for line in self._lines if "error" in line.lower()]
        return (errors or self._lines or [""])[-1].removeprefix("Error: ")[:300]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ended(self) -> None:
        """Wait until it has ended, for whatever reason."""
        await self._process.wait()

    async def end(self) -> None:
        """End it by closing its stdin, then by SIGINT, which also works before it is connected, then by SIGKILL."""
        if self._process.stdin:
            self._process.stdin.close()
        connected = self.address.port > 0
        if not (connected and await self._exited(END_SECONDS - 2)) and not await self._end_by(signal.SIGINT):
            await self._end_by(signal.SIGKILL)
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading

    async def _end_by(self, number: signal.Signals) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)
        return await self._exited(1.0)

    async def _exited(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._process.wait()), seconds)
        return self._process.returncode is not None


async def dial(runner: str | None) -> None:
    """Check that a named engine accepts connections. Raises PreflightError, within five seconds, when it does not."""
    parts = urlsplit(runner or "")
    fix = "start it, or name another engine in CCTERM_ENGINE; or use --mode local"
    try:
        async with asyncio.timeout(DIAL_SECONDS):
            if parts.scheme == "unix":
                _, writer = await asyncio.open_unix_connection(parts.path)
            elif parts.scheme == "tcp":
                _, writer = await asyncio.open_connection(parts.hostname, parts.port or 1234)
            else:
                return
            writer.close()
    except TimeoutError as error:
        raise PreflightError(f"the Dagger engine {runner} does not answer", fix) from error
    except (OSError, ValueError, socket.gaierror) as error:
        raise PreflightError(f"the Dagger engine {runner} cannot be reached: {getattr(error, 'strerror', None) or error}", fix) from error
