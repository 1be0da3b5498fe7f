"""What commands share: one event loop, the service, Ctrl-C, the log, and where output goes: data to stdout, notes for people to stderr."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ccterm.causes import ExitCode, exit_code
from ccterm.cli.main import environment, keep_switch_from_children, start_collecting
from ccterm.cli.streams import OutputError, ReaderGone, escaped, give_up_stdout, print_error
from ccterm.errors import StateError, UsageError
from ccterm.state_dir import LOG, StateDir, private_file

if TYPE_CHECKING:  # the terminal shows its first frame before it needs the service and the models of runs
    from ccterm.models import Run
    from ccterm.service.protocol import Service
    from ccterm.service.reader import Reader

T = TypeVar("T")
LOG_CAP = 4 * 1024 * 1024
"""A longer log is started again; one old one is kept."""


def carry_out(work: Coroutine[None, None, T], *, all_progress: bool = False) -> T:
    """Run a command's coroutine to its end. What it works with is named by full paths: a current directory that was removed is left."""
    leave_removed_directory()
    log_to(state_dir().path)
    print_progress(everything=all_progress)
    start_collecting()
    keep_switch_from_children()
    return asyncio.run(work)


def leave_removed_directory() -> None:
    """Go to the root if the current directory was removed: programs such as git start in none that does not exist."""
    try:
        Path.cwd()
    except FileNotFoundError:
        os.chdir("/")


def state_dir() -> StateDir:
    """Return the state directory that the environment names."""
    return StateDir.from_environment(os.environ)


def opened_service() -> "AbstractAsyncContextManager[Service]":
    """Open the service: this process becomes the daemon unless one runs."""
    from ccterm.daemon import open_service  # deferred: not every command needs it

    return open_service(environ=environment())


def starting_service() -> "AbstractAsyncContextManager[Service]":
    """Open the service for a command that starts runs, and say which variables have no effect on them."""
    note_unknown_variables()
    return opened_service()


def note_unknown_variables() -> None:
    """Say on stderr which variables of the environment are named as ccterm's and are none of them, each with its fix."""
    from ccterm.settings.load import unknown_variables  # deferred: not every command starts runs

    for error in unknown_variables(environment()):
        print_note(f"note: {error.message}\n  {error.fix}")


def opened_record() -> "AbstractAsyncContextManager[Reader]":
    """Open the record of runs for reading."""
    from ccterm.daemon import open_record

    return open_record(environ=environment())


async def settled(record: "Reader", ref: str) -> "Run":
    """Return a run; one whose daemon died only once what it left is kept, and say so."""
    from ccterm.proof import is_recovering  # deferred, as the models

    run = await record.find(ref)
    if not is_recovering(run):
        return run
    print_note(f"run {run.label}: {run.held}; waiting for that, Ctrl-C leaves it")
    return await record.wait(run.id)


def require_one(given: str | None, what: str, *, every: bool, flag: str, fix: str) -> None:
    """Refuse a command line that names neither one nor all, or both. what: names the one. flag: means all of them. Raises UsageError."""
    if given is None and not every:
        raise UsageError(f"say which {what}, or {flag}", fix)
    if given is not None and every:
        raise UsageError(f"{flag} and one {what} contradict each other", "leave one of them out")


def print_note(text: str) -> None:
    """Print something for the person, to stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def print_data(text: str) -> None:
    """Print data, to stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_json(value: object) -> None:
    """Print one JSON value on one line."""
    print_json_line(json.dumps(value, ensure_ascii=False))


def print_json_line(line: str) -> None:
    """Print a line of JSON; what a terminal could obey is escaped, so that no value changes."""
    print_data(escaped(line))


def print_runs(runs: "Sequence[Run]") -> None:
    """Print run documents one per line, as the last lines of an event stream."""
    for run in runs:
        print_json({"kind": "run", **run.document()})


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print a record's message."""
        print_note(f"  {record.getMessage()}")


def print_progress(*, everything: bool = False, wanted: bool = True) -> None:
    """Print to stderr what takes long and happens rarely, such as building an image; everything: each line of it. wanted: else nothing."""
    progress = logging.getLogger("ccterm.progress")
    progress.handlers[:], progress.propagate = [_Notes()], False
    progress.setLevel(logging.DEBUG if everything else logging.INFO if wanted else logging.ERROR)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line of JSON, without any secret that was read."""
        from ccterm.output.own_text import clean_text  # deferred: most commands have nothing to log

        facts = {
            "at": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": clean_text(record.getMessage()),
        }
        if record.exc_info:
            facts["traceback"] = clean_text(self.formatException(record.exc_info))
        return json.dumps(facts, ensure_ascii=False)


class _LogFile(logging.Handler):
    """Opens the log with its first record: most commands have nothing to log, and rotation costs start-up time."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file: logging.Handler | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        self._file = self._file or self._opened()
        self._file.emit(record)

    def _opened(self) -> logging.Handler:
        from logging.handlers import RotatingFileHandler

        try:
            os.close(private_file(self._path))
            file = RotatingFileHandler(self._path, maxBytes=LOG_CAP, backupCount=1, encoding="utf-8", delay=True)
        except (OSError, StateError):
            return logging.NullHandler()
        file.setFormatter(_JsonLines())
        return file


def log_to(directory: Path) -> None:
    """Write warnings and errors to `directory`/ccterm.log as JSON lines, never to the screen; they are dropped where that cannot be written."""
    root = logging.getLogger()
    root.handlers[:] = [logging.NullHandler()]
    root.setLevel(logging.WARNING)
    if not directory.is_dir():
        return
    root.handlers[:] = [_LogFile(directory / LOG)]


def code_for(runs: "Sequence[Run]", show: "Callable[[Sequence[Run]], None]") -> ExitCode:
    """Print runs with `show` and return their exit code: what became of the runs counts, even if it could not be printed."""
    code = _shared_code(runs)
    try:
        show(runs)
    except OutputError as error:
        give_up_stdout()
        if not isinstance(error, ReaderGone):
            print_error(error.message, error.fix)
            code = code or ExitCode.FAILED
    return code


def _shared_code(runs: "Sequence[Run]") -> ExitCode:
    """Return the exit code of runs together: 130 when the user cancelled, else the one code that all failures share, else 1.

    Without a failure it is 7 when an agent was denied something, else 0.
    """
    codes = {_code(run) for run in runs}
    if ExitCode.CANCELLED in codes:
        return ExitCode.CANCELLED
    failures = codes - {ExitCode.OK, ExitCode.DENIED}
    return failures.pop() if len(failures) == 1 else ExitCode.FAILED if failures else max(codes, default=ExitCode.OK)


def _code(run: "Run") -> ExitCode:
    from ccterm.models import State

    if run.state is State.CANCELLED:
        return ExitCode.CANCELLED
    return exit_code(run.cause, run.reason) if run.cause else ExitCode.DENIED if run.denied else ExitCode.OK


@asynccontextmanager
async def interruptible(service: "Service") -> AsyncIterator[None]:
    """Let the first Ctrl-C stop all runs and keep their work, the second kill them."""
    pressed = 0

    async def stop() -> None:
        nonlocal pressed
        pressed += 1
        print_note("stopping; the work is kept. Press again to kill at once" if pressed == 1 else "killing")
        await service.cancel_all(now=pressed > 1)

    async with at_signals(stop):
        yield


@asynccontextmanager
async def at_signals(do: Callable[[], Coroutine[None, None, object]]) -> AsyncIterator[None]:
    """Do something at each Ctrl-C and SIGTERM while the block lasts; what that began has ended afterwards, well or not."""
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[object]]()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: tasks.add(loop.create_task(do())))
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        await asyncio.gather(*tasks, return_exceptions=True)
