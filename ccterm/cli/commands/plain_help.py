"""Help as of other commands: what typer adds to the names of arguments, such as `{RUN} <str>`, says nothing to who types them."""

from typing import Any

from typer.core import TyperCommand


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
