"""The door of the program: `ccterm` alone shows the terminal, with words it is the command line."""

import os
import sys

from ccterm.cli.plugins import without_plugins


def main() -> None:
    """Run ccterm; every expected fault is one sentence on stderr and an exit code."""
    without_plugins()
    try:
        _terminal() if len(sys.argv) == 1 and "_CCTERM_COMPLETE" not in os.environ else _commands()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the door of the program: what nobody foresaw becomes one line here
        from ccterm.cli.errors import explain

        sys.exit(explain(error))


def _terminal() -> None:
    """Show the terminal; without one the command line says how to get help."""
    from ccterm.cli.terminal import on_terminal, terminal  # deferred, as all here: the first frame does without the commands

    if on_terminal():
        sys.exit(terminal(foreground=False))
    _commands()


def _commands() -> None:
    from ccterm.cli.commands import app

    app(prog_name="ccterm")
