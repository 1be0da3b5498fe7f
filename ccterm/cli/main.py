"""The entry point: `ccterm` alone shows the terminal, with arguments it is the command line."""

import os
import sys

from ccterm.cli.environment import disable_pydantic_plugins


def main() -> None:
    """Run ccterm; every expected error is one sentence on stderr and an exit code."""
    disable_pydantic_plugins()
    try:
        _terminal() if len(sys.argv) == 1 and "_CCTERM_COMPLETE" not in os.environ else _commands()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the entry point: an unforeseen error becomes one line here
        from ccterm.cli.errors import explain  # deferred: most commands end without

        sys.exit(explain(error))


def _terminal() -> None:
    """Show the terminal; when there is none, the command line explains how to get help."""
    from ccterm.cli.terminal import on_terminal, terminal  # deferred, as all here: the first frame does without the commands

    if on_terminal():
        sys.exit(terminal(foreground=False))
    _commands()


def _commands() -> None:
    from ccterm.cli.commands import app

    app(prog_name="ccterm")
