"""The gateway's process as the daemon holds it: started, spoken to and ended."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from typing import Self

from ccterm.gateway.orders import LINE_BYTES, GatewayReport
from ccterm.git.bounded_json import read_json

END_SECONDS = 2.0
"""Seconds that the process has to end after its stdin is closed."""
_INTERPRETER = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")
"""All that a Python needs of our environment. Everything else, logins too, stays out of the process's."""
_TAIL = 2048
_AGAIN_SECONDS = (0.0, 0.2, 1.0, 5.0)
"""Seconds before the process is started again, the more often it died shortly after its start."""
_STEADY_SECONDS = 30.0
"""A process that lived so long did not die of its start."""


class RestartPauses:
    """How long to wait before a process is started again that died."""

    def __init__(self) -> None:
        self._early_deaths = 0

    def after(self, lived: float) -> float:
        """Return the seconds to wait after the death of a process that lived for so many seconds."""
        self._early_deaths = self._early_deaths + 1 if lived <= _STEADY_SECONDS else 1
        return _AGAIN_SECONDS[min(self._early_deaths, len(_AGAIN_SECONDS)) - 1]


class GatewayProcess:
    """One process. It ends by itself when our end of its stdin is closed, and so when we die."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._stderr = b""
        self._reading = asyncio.ensure_future(self._read_stderr())

    @classmethod
    async def start(cls) -> Self:
        """Start one in a session of its own, so that Ctrl-C does not reach it. Raises OSError."""
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", *(["-I"] if sys.flags.isolated else []), "-m", "ccterm.gateway"),
                cwd="/",  # it must not keep a directory busy
                env={name: os.environ[name] for name in _INTERPRETER if name in os.environ},
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                start_new_session=True,
                limit=LINE_BYTES,
            )
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def last_words(self) -> str:
        """Return the last line of its stderr."""
        lines = self._stderr.decode("utf-8", "replace").strip().split("\n")
        return lines[-1]

    def say(self, line: str) -> None:
        """Give it one line; nothing happens when it is ending."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(line.encode() + b"\n")

    async def told(self) -> AsyncIterator[GatewayReport]:
        """Yield what it tells until it ends. Raises ValueError for what is no report."""
        assert self._process.stdout is not None
        while (line := await self._process.stdout.readline()).endswith(b"\n"):  # one that is killed may leave half a line
            yield read_json(line)
        await asyncio.wait([self._reading])

    async def end(self) -> None:
        """Close its stdin and wait until it has ended; kill it when that takes long."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        finally:
            self._reading.cancel()

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(_TAIL):
            self._stderr = (self._stderr + data)[-_TAIL:]
