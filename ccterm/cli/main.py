"""The entry point: `ccterm` alone shows the terminal, with arguments it is the command line. Also the environment that children get."""

import gc
import os
import sys

from ccterm.cli.streams import give_up_stdout, guard_streams

SWITCH = "PYDANTIC_DISABLE_PLUGINS"
_FOREGROUND = "--foreground"
_INHERITED = os.environ.get(SWITCH)


def main() -> None:
    """Run ccterm; every expected error is one sentence on stderr and an exit code."""
    gc.disable()  # what start-up creates stays; `start_collecting` goes on without looking through it
    disable_pydantic_plugins()
    guard_streams()
    try:
        try:
            _terminal() if sys.argv[1:] in ([], [_FOREGROUND]) and "_CCTERM_COMPLETE" not in os.environ else _commands()
        finally:
            gc.freeze()  # at its end, Python would look through everything once more: up to a quarter of a second
            sys.stdout.flush()  # now, while a failure can still be told: at the end of the process it would be a traceback
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the entry point: an unforeseen error becomes one line here
        from ccterm.cli.errors import explain  # deferred: most commands end without

        code = explain(error)
        give_up_stdout()
        sys.exit(code)


def start_collecting() -> None:
    """Collect garbage from now on: start-up is over."""
    gc.freeze()
    gc.enable()


def disable_pydantic_plugins() -> None:
    """Keep pydantic from searching every installed package for plugins: 50 ms at each start, for something that ccterm does not use.

    For the command alone: a program that imports ccterm keeps its plugins. A user who set the switch keeps that value.
    """
    os.environ.setdefault(SWITCH, "__all__")
    keep_switch_from_children()


def keep_switch_from_children() -> None:
    """Take the switch from the environment that a child inherits when it is given none; `os.environ` keeps it. Typer puts it back."""
    if _INHERITED is None:
        os.unsetenv(SWITCH)


def environment() -> dict[str, str]:
    """Return the environment for children: the user's, with the switch as it was when this process started."""
    kept = {name: value for name, value in os.environ.items() if name != SWITCH}
    return kept if _INHERITED is None else kept | {SWITCH: _INHERITED}


def _terminal() -> None:
    """Show the terminal; when there is none, the command line explains how to get help."""
    from ccterm.cli.terminal import on_terminal, terminal  # deferred, as all here: the first frame does without the commands

    if on_terminal():
        sys.exit(terminal(foreground=_FOREGROUND in sys.argv))
    _commands()


def _commands() -> None:
    from ccterm.cli.commands import app
    from ccterm.cli.commands.usage import carry_out

    sys.exit(carry_out(app))
