"""`ccterm`: the terminal, on an owner of its own or, with --foreground, in this process."""

import asyncio
import os
import sys

from ccterm.causes import ExitCode
from ccterm.cli.guard import guarded
from ccterm.cli.log import log_to
from ccterm.cli.talk import state_dir


def on_terminal() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def terminal(*, foreground: bool) -> int:
    """Show the terminal until it is left; returns the exit code."""
    return guarded(lambda parent: _show(foreground, parent))


def _show(foreground: bool, parent: int) -> int:
    from ccterm.cli.faults import explain  # here, in the child: the parent stays small

    try:
        log_to(state_dir().prepare().path)
        return asyncio.run(_run(foreground, parent))
    except Exception as error:  # noqa: BLE001 - the door of this process
        return explain(error)


async def _run(foreground: bool, parent: int) -> int:
    from ccterm.owner.detached import attached_or_started
    from ccterm.service import AgentService
    from ccterm.settings import load_settings
    from ccterm.tui.app import CctermApp
    from ccterm.tui.door import Door, run_terminal
    from ccterm.tui.memory import Memory
    from ccterm.tui.notices import desktop

    settings, state = load_settings(None, os.environ), state_dir()
    app = CctermApp(settings, memory=Memory(state.path), outlives=not foreground, send=desktop(settings.tui, os.environ))
    asyncio.get_running_loop().add_reader(parent, app.exit)  # readable = the parent is gone
    door = Door(lambda: AgentService.open() if foreground else attached_or_started(state, os.environ), outlives=not foreground)
    return await run_terminal(app, door) or ExitCode.OK
