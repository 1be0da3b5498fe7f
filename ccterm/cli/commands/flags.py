"""Arguments and flags that several commands share, and how a command ends."""

from enum import StrEnum
from typing import Annotated

import typer


class Where(StrEnum):
    """Where steps run."""

    local = "local"
    dagger = "dagger"


RunRef = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, any unique prefix of it, or `last`.")]
AllowDeletions = Annotated[int | None, typer.Option(min=0, metavar="N", help="Let up to N files be deleted or gutted. [default: 20]")]
AllowLines = Annotated[int | None, typer.Option(min=0, metavar="N", help="Let up to N lines be removed. [default: 500, or a quarter]")]
AllowFiles = Annotated[int | None, typer.Option(min=0, metavar="N", help="Let up to N files be changed. [default: 1000]")]
AllowPath = Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Let this protected path be changed; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def leave(code: int) -> None:
    """End the program with an exit code."""
    raise typer.Exit(code)
