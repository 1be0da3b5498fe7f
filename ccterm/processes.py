"""Processes of this machine: marks that never confuse one with a later one, and running a small program with bounds on time and output."""

import contextlib
import os
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from ccterm.values import Value

if TYPE_CHECKING:
    import subprocess

DESCRIPTORS = 4096
"""How many files a process that carries runs out may have open, where the system lets it: enough for 500 runs at once."""
PIPE_BYTES = 16 * 1024
"""What every system's pipes hold."""


class ProcessMark(Value):
    """Identifies a process forever: its pid, when it started, and in which boot of the machine."""

    pid: int
    started: str
    """As the system reports it; only compared."""
    boot: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Return the mark of a living process, or None when there is none with that pid."""
        started = _started(pid)
        return None if started is None else cls(pid=pid, started=started, boot=boot_id())

    @property
    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return self.boot == boot_id() and self.started == _started(self.pid)


def boot_id() -> str:
    """Return an id that is the same until the machine restarts; empty where start times are dates, which do not repeat anyway."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip() if sys.platform == "linux" else ""


def _started(pid: int) -> str | None:
    return _started_linux(pid) if sys.platform == "linux" else _started_elsewhere(pid)


def _started_linux(pid: int) -> str | None:
    """Read clock ticks since boot: unlike a date they never shift."""
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    state, *rest = line[line.rindex(b")") + 2 :].split()  # the name before may contain spaces and brackets
    return None if state in b"ZX" else rest[18].decode()


def _started_elsewhere(pid: int) -> str | None:
    import psutil  # deferred: costs start-up time

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.Error:
        return None


class CommandResult(NamedTuple):
    """How a program ended, and what it printed."""

    code: int
    """Exit code; negative = the signal that ended it."""
    output: bytes
    cut: bool
    """Whether it printed more than the output holds."""
    errors: bytes = b""
    """The beginning of its stderr, where it was wanted apart."""


def run_command(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None,
    seconds: float,
    limit: int = 64 * 1024,
    stderr: bool = False,
    stdin: bytes = b"",
) -> CommandResult:
    """Run a program without terminal or shell, and return how it ended.

    env: its whole environment; None = ours. limit: how many bytes of output are kept; 0 = the output goes to /dev/null. stderr: whether that
    belongs to the output. stdin: its whole input, at most 16 KiB. After `seconds` the program is killed with everything in its process group.
    Raises TimeoutError then, and another OSError when it cannot be started.
    """
    return _Command(argv, env, seconds, limit, stderr=stderr, stdin=stdin).run()


async def run_command_async(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None,
    seconds: float,
    limit: int = 64 * 1024,
    stderr: bool = False,
    errors: int = 0,
    stop_at_limit: bool = False,
) -> CommandResult:
    """Do the same without blocking the event loop. On cancellation the process group is killed at once.

    errors: how many bytes of stderr are kept apart from the output. stop_at_limit: whether more output than is kept ends it.
    """
    import asyncio  # deferred: costs start-up time

    command = _Command(argv, env, seconds, limit, stderr=stderr, errors=errors, stop_at_limit=stop_at_limit)
    try:
        return await asyncio.to_thread(command.run)
    finally:
        command.stop()


class _Command:
    """One program in a process group of its own."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        env: Mapping[str, str] | None,
        seconds: float,
        limit: int,
        *,
        stderr: bool,
        stdin: bytes = b"",
        errors: int = 0,
        stop_at_limit: bool = False,
    ) -> None:
        self._argv, self._env, self._limit, self._stderr, self._stdin, self._errors = argv, env, limit, stderr, stdin, errors
        self._seconds, self._deadline, self._stop_at_limit = seconds, time.monotonic() + seconds, stop_at_limit
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self) -> CommandResult:
        """Run it to its end."""
        import subprocess  # deferred: many commands of ccterm only read, and start no program

        process = self._start()
        try:
            output, cut, errors = self._read(process)
            if cut and self._stop_at_limit:
                _kill(process)
            code = process.wait(max(0.0, self._deadline - time.monotonic()))
        except (subprocess.TimeoutExpired, TimeoutError):
            raise TimeoutError(f"{self._argv[0]} did not end within {self._seconds:g} s") from None
        finally:
            _kill(process)
            process.wait()
            for pipe in filter(None, (process.stdout, process.stderr)):
                pipe.close()  # a grandchild may hold the other end: do not wait for it
        return CommandResult(code, output, cut, errors)

    def stop(self) -> None:
        """Kill it, or keep it from starting; nothing happens after its end. May be called from another thread."""
        with self._lock:
            self._stopped = True
            if self._process:
                _kill(self._process)

    def _start(self) -> "subprocess.Popen[bytes]":
        import subprocess  # deferred, as above

        null, pipe = subprocess.DEVNULL, subprocess.PIPE
        out = pipe if self._limit else null
        err = subprocess.STDOUT if self._stderr else pipe if self._errors else null
        with self._lock:
            if self._stopped:
                raise TimeoutError(f"{self._argv[0]} was stopped before it started")
            env = dict(self._env) if self._env is not None else None
            given = _pipe_with(self._stdin) if self._stdin else null
            try:
                self._process = subprocess.Popen(self._argv, env=env, stdin=given, stdout=out, stderr=err, start_new_session=True)
            finally:
                if given != null:
                    os.close(given)
            return self._process

    def _read(self, process: "subprocess.Popen[bytes]") -> tuple[bytes, bool, bytes]:
        """Read stdout and stderr to their ends, and keep the beginning of each."""
        output, errors = _Beginning(self._limit), _Beginning(self._errors)
        open_ = {pipe.fileno(): kept for pipe, kept in ((process.stdout, output), (process.stderr, errors)) if pipe}
        poller = select.poll()
        for number in open_:
            poller.register(number, select.POLLIN)
        while open_ and not (output.cut and self._stop_at_limit):
            if (left := self._deadline - time.monotonic()) <= 0 or not (ready := poller.poll(left * 1000)):
                raise TimeoutError
            for number, _ in ready:
                if block := os.read(number, 64 * 1024):
                    open_[number].add(block)
                else:
                    poller.unregister(number)
                    del open_[number]
        return bytes(output.data), output.cut, bytes(errors.data)


class _Beginning:
    """The first bytes of what comes through a pipe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.data = bytearray()
        self.cut = False
        """Whether more came than is kept."""

    def add(self, block: bytes) -> None:
        """Take the next bytes."""
        room = self._limit - len(self.data)
        self.data += block[:room]
        self.cut = self.cut or len(block) > room


def _pipe_with(data: bytes) -> int:
    """Return the end to read from of a pipe that holds the data already: writing it later could block."""
    if len(data) > PIPE_BYTES:
        raise ValueError(f"more than {PIPE_BYTES} bytes of input")
    readable, writable = os.pipe()
    try:
        os.write(writable, data)
    finally:
        os.close(writable)
    return readable


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process group, unless its leader was reaped: until then nothing else can have its number."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS raises the latter for a group that is dead already
            os.killpg(process.pid, signal.SIGKILL)


def raise_descriptor_limit(wanted: int = DESCRIPTORS) -> int:
    """Let this process open up to `wanted` files, or as many as it may; return how many that are. Its children inherit the limit.

    Terminals of macOS start with 256, and no process can go beyond its hard limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else soft
