"""Help without what typer adds to the names of arguments, and what is wrong with a command line in one sentence with its fix, in place of typer's words."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from ccterm.cli.commands.flags import shown

if TYPE_CHECKING:
    from ccterm.errors import UsageError

(_TYPERS,) = (kind for kind in typer.BadParameter.__mro__ if issubclass(kind, Exception) and kind.__name__ == "ClickException")
"""What typer raises when a command line is wrong: click's class, or the one of typer's own copy of click."""
_NO_COMMAND = re.compile(r"No such command '(?P<name>.*?)'\.(?: Did you mean (?P<close>.*)\?)?", re.DOTALL)
_TOO_MUCH = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((?P<what>.*)\)", re.DOTALL)


class PlainCommand(TyperCommand):
    """A command whose arguments are shown by their names alone, in brackets where they may be left out.

    It takes this from typer's insides: a version without them shows what it shows.
    """

    def __init__(self, *args: Any, **given: Any) -> None:  # noqa: ANN401 - typer's own
        super().__init__(*args, **given)
        for param in self.params:
            if param.param_type_name == "argument":
                name, more = param.metavar or param.name, "" if param.nargs == 1 else "..."
                shown = f"{name}{more}" if param.required else f"[{name}]{more}"
                vars(param).update(display_type_rich=lambda **_: None, _usage_display_name=lambda shown=shown: shown)


def carry_out(app: typer.Typer, args: Sequence[str] | None = None) -> int:
    """Carry out a command line, by default this process's own, and return its exit code. Raises UsageError."""
    try:
        code = app(args, prog_name="ccterm", standalone_mode=False)
    except _TYPERS as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a command: what there is, is all that can be said
            typer.echo(error, err=True)
            return 2
        raise _explained(error) from error
    return code if isinstance(code, int) else 0


def explain_command(command: Sequence[str], topics: Iterable[str]) -> int:
    """Print the help of a command and return the exit code. topics: what could have been meant, too. Raises UsageError."""
    from ccterm.cli.commands import app  # deferred: its commands import this module
    from ccterm.errors import UsageError

    word = command[0]
    commands = typer.main.get_group(app).commands
    known = {*topics, *commands}
    if word in known:
        length = 2 if hasattr(commands.get(word), "commands") else 1  # of what there is to be explained
        if more := " ".join(command[length:]):
            named = " ".join(command[:length])
            kind = "command" if word in commands else "topic"
            raise UsageError(f"{shown(named)} is a {kind}, and {shown(more)} is more than that", f"ccterm help {named}")
        return carry_out(app, [*command, "--help"])
    close = get_close_matches(word, known, 1)
    raise UsageError(
        f"{shown(word)} is neither a command nor a topic",
        f"did you mean {close[0]}?" if close else "ccterm --help and ccterm help list them",
    )


def _explained(error: Any) -> "UsageError":  # noqa: ANN401 - one of several classes, of click or of typer
    from ccterm.errors import UsageError  # deferred: few command lines are wrong

    command, message = error.ctx.command_path if error.ctx else "ccterm", error.format_message()
    match type(error).__name__:
        case "MissingParameter":
            needed = [
                each.metavar or each.name for each in error.ctx.command.params if each.param_type_name == "argument" and each.required
            ]
            return UsageError(f"{error.param.metavar or error.param.name} is missing", " ".join([command, *needed]))
        case "BadParameter":
            text, _, fix = error.message.partition("; ")
            return UsageError(f"{error.param.opts[-1]} {text}", fix or f"{command} --help explains it")
        case "NoSuchOption":
            name = error.option_name.lstrip("-")
            close = " or ".join(
                flag for flag in error.possibilities or () if get_close_matches(name, [flag.lstrip("-")])
            )  # dashes are alike
            fix = f"did you mean {close}?" if close else f"{command} --help lists those that there are"
            return UsageError(f"there is no flag {shown(error.option_name)}", fix)
        case "BadOptionUsage" if "requires" in message:
            return UsageError(f"{error.option_name} needs a value", f"write {error.option_name} VALUE")
        case "BadOptionUsage":
            return UsageError(f"{error.option_name} takes no value", f"write {error.option_name} alone")
    if found := _NO_COMMAND.fullmatch(message):
        fix = (
            f"did you mean {found['close'].replace(chr(39), '').replace(', ', ' or ')}?"
            if found["close"]
            else f"{command} --help lists those that there are"
        )
        return UsageError(f"there is no command {shown(found['name'])}", fix)
    if found := _TOO_MUCH.fullmatch(message):
        return UsageError(
            f"this is more than {command} takes: {shown(found['what'])}", f"{command} --help explains it; a text with spaces needs quotes"
        )
    return UsageError(message.rstrip("."), f"{command} --help explains it")
