"""Arguments and flags that several commands share, and how a command ends."""

from typing import Annotated

import typer
from typer.models import OptionInfo

RunRef = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, any unique prefix of it, or `last`.")]
AllowDeletions = Annotated[int | None, typer.Option(min=0, metavar="N", help="Let up to N files be deleted or gutted. [default: 20]")]
AllowLines = Annotated[int | None, typer.Option(min=0, metavar="N", help="Let up to N lines be removed. [default: 500, or a quarter]")]
AllowFiles = Annotated[int | None, typer.Option(min=0, metavar="N", help="Let up to N files be changed. [default: 1000]")]
AllowPath = Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Let this protected path be changed; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def leave(code: int) -> None:
    """End the program with an exit code."""
    raise typer.Exit(code)


PLACES = ("local", "dagger")


def where(sentence: str) -> OptionInfo:
    """Return the flag that says where steps run. No enum: of one typer says "Value error" before it says what is wrong."""
    option: OptionInfo = typer.Option(help=sentence, metavar=f"<{'|'.join(PLACES)}>", callback=_place, autocompletion=lambda: list(PLACES))
    return option


def _place(name: str | None) -> str | None:
    if name is not None and name not in PLACES:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, PLACES))}.")
    return name
