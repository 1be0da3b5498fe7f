"""What commands share: one event loop, the service, Ctrl-C, and where data and talk go."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from ccterm.causes import ExitCode, exit_code
from ccterm.cli.log import log_to
from ccterm.models import Run, State
from ccterm.state_dir import StateDir

if TYPE_CHECKING:  # the terminal takes its first frame before the service
    from ccterm.service.protocol import Service

T = TypeVar("T")


def carry_out(work: Coroutine[None, None, T], *, all_progress: bool = False) -> T:
    """Run a command's coroutine to its end."""
    log_to(state_dir().path)
    tell_progress(all_of_it=all_progress)
    return asyncio.run(work)


def state_dir() -> StateDir:
    """Return the state directory of this environment."""
    return StateDir.from_environment(os.environ)


class _Saying(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Say what a record says."""
        say(f"  {record.getMessage()}")


def tell_progress(*, all_of_it: bool = False) -> None:
    """Say on stderr what takes long and happens rarely, such as the making of an image; all of it: line by line."""
    progress = logging.getLogger("ccterm.progress")
    progress.handlers[:], progress.propagate = [_Saying()], False
    progress.setLevel(logging.DEBUG if all_of_it else logging.INFO)


def say(text: str) -> None:
    """Talk to the person, on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def tell(text: str) -> None:
    """Put data out, on stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell_json(value: object) -> None:
    """Put one JSON value out on one line."""
    tell(json.dumps(value, ensure_ascii=False))


def tell_runs(runs: Iterable[Run]) -> None:
    """Put run documents out, one a line, as the last lines of an event stream."""
    for run in runs:
        tell_json({"kind": "run", **run.document()})


def code_for(runs: Iterable[Run]) -> ExitCode:
    """Return the exit code of runs together: 130 when the user cancelled, else the one code that all failures share, else 1."""
    codes = {_code(run) for run in runs} - {ExitCode.OK}
    if ExitCode.CANCELLED in codes:
        return ExitCode.CANCELLED
    return codes.pop() if len(codes) == 1 else ExitCode.FAILED if codes else ExitCode.OK


def _code(run: Run) -> ExitCode:
    if run.state is State.CANCELLED:
        return ExitCode.CANCELLED
    return exit_code(run.cause) if run.cause else ExitCode.OK


@asynccontextmanager
async def interruptible(service: "Service") -> AsyncIterator[None]:
    """Let the first Ctrl-C stop all runs and keep their work, the second kill them."""
    loop, orders = asyncio.get_running_loop(), set[asyncio.Task[None]]()
    pressed = 0

    def stop() -> None:
        nonlocal pressed
        pressed += 1
        say("stopping; the work is kept. Again to kill at once" if pressed == 1 else "killing")
        orders.add(asyncio.ensure_future(service.cancel_all(now=pressed > 1)))

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        await asyncio.gather(*orders, return_exceptions=True)
