"""`ccterm shell RUN`: this terminal becomes that of a shell in a container, by one socket between the two."""

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ccterm import render
from ccterm.boundaries import boundary, login
from ccterm.causes import ExitCode
from ccterm.cli.console import at_signals, carry_out, code_for, opened_service, print_data, print_note, settled
from ccterm.cli.run_tasks import print_ended
from ccterm.cli.tty_guard import MAIN_SCREEN, MODES_OFF
from ccterm.errors import DaemonError, UsageError
from ccterm.executors.shell_link import ShellLink
from ccterm.models import ExecutionMode, Run
from ccterm.service.protocol import Service
from ccterm.values import Terminal

_CHUNK = 64 * 1024
_PAUSE = 0.02


def open_shell(ref: str) -> ExitCode:
    """Open a shell where a run's agent was, and keep what comes of it."""

    async def work() -> Run | None:
        async with opened_service() as service:
            run = await settled(service, ref)
            if run.task.execution_mode is ExecutionMode.LOCAL:
                _print_place(run)
                return None
            if not (sys.stdin.isatty() and sys.stdout.isatty()):
                raise UsageError("a shell needs a terminal", f"run ccterm shell {ref} in one, without redirection")
            return await _opened(service, run)

    ended = carry_out(work())
    return code_for([ended], print_ended) if ended else ExitCode.OK


def _print_place(run: Run) -> None:
    """Print where the work of a run is that had no container."""
    if place := render.kept_in(run):
        print_data(place)
        print_note(f"run {run.label} worked on this machine, without a container: a shell there can do all that you can")
    else:
        print_note(f"run {run.label} worked on this machine, and nothing of it is kept here; ccterm show {run.ref} says what became of it")


async def _opened(service: Service, run: Run) -> Run:
    """Open a shell, serve it until it ends, and return its run."""
    async with ShellLink.listen() as link:
        rows, columns = _size()
        kind = os.environ.get("TERM") or Terminal.model_fields["kind"].default
        fresh = await service.shell(run.id, Terminal(socket=str(link.path), rows=rows, columns=columns, kind=kind))
        _print_opening(run, fresh)
        ended = asyncio.ensure_future(service.wait(fresh.id))
        connected = asyncio.ensure_future(link.connected.wait())
        try:
            async with at_signals(lambda: service.cancel(fresh.id)):  # once it has started, Ctrl-C is one of its keys
                await asyncio.wait([connected, ended], return_when=asyncio.FIRST_COMPLETED)
            if link.connected.is_set():
                await _Relay(link).run()
            return _require_ended(await ended)
        finally:
            connected.cancel()
            ended.cancel()


def _require_ended(run: Run) -> Run:
    """Return a run that has ended. Raises DaemonError for one whose daemon did before."""
    if not run.state.final:
        raise DaemonError(
            f"the daemon that kept the shell of run {run.label} is gone", f"ccterm show {run.ref} says what its last checkpoint kept"
        )
    return run


def _print_opening(run: Run, fresh: Run) -> None:
    print_note(
        f"a shell where the agent of run {run.label} was, as run {fresh.label}; what changes there is kept when it ends, and not pushed"
    )
    print_note(boundary(fresh.task))
    if login(fresh.task) == "in the box":
        print_note("the login in it is an access token alone, which is not renewed there")
    if fresh.session_id:
        print_note(f"claude --resume {fresh.session_id} takes the conversation over")


class _Relay:
    """Passes keys and window sizes of this terminal on to a shell, and what the shell draws to this terminal."""

    def __init__(self, link: ShellLink) -> None:
        self._link, self._loop, self._keyboard = link, asyncio.get_running_loop(), sys.stdin.fileno()
        self._other_screen = False

    async def run(self) -> None:
        """Pass everything on until the shell ends or the terminal is gone."""
        with _raw(self._keyboard), self._heard():
            self._send_size()
            async for data in self._link.output():
                self._other_screen = _on_other_screen(data, self._other_screen)
                await asyncio.to_thread(_write, data)  # a terminal may take its time, and this process may serve other runs
            with suppress(OSError):  # a shell that was ended leaves the terminal as its programs had it
                _write(((MAIN_SCREEN if self._other_screen else "") + MODES_OFF).encode())

    @contextmanager
    def _heard(self) -> Iterator[None]:
        handlers = {signal.SIGWINCH: self._send_size, signal.SIGHUP: self._hang_up, signal.SIGTERM: self._hang_up}
        for number, handler in handlers.items():
            self._loop.add_signal_handler(number, handler)
        self._listen()
        try:
            yield
        finally:
            self._hang_up()
            for number in handlers:
                self._loop.remove_signal_handler(number)

    def _listen(self) -> None:
        if not self._link.closed:
            self._loop.add_reader(self._keyboard, self._send_keys)

    def _send_keys(self) -> None:
        if self._link.slow:  # of a large paste, the shell has to take what was sent first
            self._loop.remove_reader(self._keyboard)
            self._loop.call_later(_PAUSE, self._listen)
            return
        try:
            keys = os.read(self._keyboard, _CHUNK)
        except OSError:
            keys = b""
        if keys:
            self._link.send_keys(keys)
        else:
            self._hang_up()

    def _send_size(self) -> None:
        with suppress(OSError):  # the terminal is gone, which is noticed elsewhere
            self._link.send_size(*_size())

    def _hang_up(self) -> None:
        self._loop.remove_reader(self._keyboard)
        self._link.close()


def _on_other_screen(drawn: bytes, before: bool) -> bool:
    """Return whether a terminal shows the screen of a program, not the main one, after something was drawn. before: whether it did before."""
    entered, left = drawn.rfind(b"\x1b[?1049h"), drawn.rfind(b"\x1b[?1049l")
    return before if entered == left else entered > left


def _write(data: bytes) -> None:
    """Write to the terminal as it is: whoever opened the shell sees what its programs draw."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(sys.stdout.fileno(), rest) :]


@contextmanager
def _raw(keyboard: int) -> Iterator[None]:
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard, termios.TCSADRAIN)  # what was typed by now is meant for the shell
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal itself may be gone
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _size() -> tuple[int, int]:
    """Return rows and columns of this terminal."""
    size = os.get_terminal_size(sys.stdout.fileno())
    return max(1, size.lines), max(1, size.columns)  # a terminal that does not know says 0
