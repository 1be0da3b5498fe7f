"""`ccterm`: the terminal, over a daemon in the background or, with --foreground, in this process."""

import asyncio
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ccterm.causes import ExitCode
from ccterm.cli.console import leave_removed_directory, log_to, opened_service, print_note, state_dir
from ccterm.cli.main import environment, keep_switch_from_children
from ccterm.cli.tty_guard import guarded
from ccterm.state_dir import settings_path

if TYPE_CHECKING:  # the first frame does without
    from contextlib import AbstractAsyncContextManager

    from ccterm.service.protocol import Service
    from ccterm.settings import Settings
    from ccterm.tui.memory import Memory
    from ccterm.tui.notices import Send


def on_terminal() -> bool:
    """Whether stdin and stdout are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def terminal(*, foreground: bool) -> int:
    """Show the terminal until it is left; returns the exit code."""
    return guarded(lambda parent: _show(foreground, parent))


def _show(foreground: bool, parent: int) -> int:
    from ccterm.cli.errors import explain  # here, in the child: the parent stays small

    keep_switch_from_children()
    try:
        leave_removed_directory()
        log_to(state_dir().prepare().path)
        return asyncio.run(_run(foreground, parent))
    except Exception as error:  # noqa: BLE001 - the entry point of this process
        return explain(error)


async def _run(foreground: bool, parent: int) -> int:
    from ccterm.tui.app import CctermApp
    from ccterm.tui.opening import Look
    from ccterm.tui.run import run
    from ccterm.tui.themes import light_by_environment

    look = Look.read(settings_path(), state_dir().path)
    app = CctermApp(look, detached=not foreground, light=light_by_environment(os.environ))
    asyncio.get_running_loop().add_reader(parent, app.exit)  # readable = the parent is gone
    code = await run(app, opened_service if foreground else _attached, _loaded) or ExitCode.OK
    if app.farewell:
        with suppress(OSError):  # the terminal itself may be gone
            print_note(app.farewell)
    return code


def _loaded() -> "tuple[Settings, Memory, Send]":
    """Return what the app is provided with; everything that the fleet needs is imported then."""
    import ccterm.tui.screens.fleet  # noqa: F401 - deferred, as all here, until the first frame is on the screen; here, in a thread
    from ccterm.settings import load_settings
    from ccterm.tui.memory import Memory
    from ccterm.tui.notices import desktop

    settings = load_settings(None, environment())
    return settings, Memory(state_dir().path), desktop(settings.tui, environment())


def _attached() -> "AbstractAsyncContextManager[Service]":
    from ccterm.daemon.spawn import attached_or_started  # deferred until the first frame is on the screen

    return attached_or_started(state_dir(), environment())
