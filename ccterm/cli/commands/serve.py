"""The commands of the HTTP API."""

from typing import Annotated

import typer

from ccterm.cli.commands.flags import Json, count, leave

Repos = Annotated[
    list[str] | None,
    typer.Option(
        metavar="REPO",
        help="A working copy, with what is below it, or a URL that tasks may name; the first is the default. [default: the current directory]",
    ),
]
AllowLocal = Annotated[
    bool, typer.Option("--allow-local", help="Also start runs in local mode, which has no isolation, and scripted agents.")
]


def serve(
    port: Annotated[int, typer.Option(parser=count(0, 65535), metavar="N", help="The port on 127.0.0.1 and ::1; 0 = a free one.")] = 8001,
    socket_only: Annotated[bool, typer.Option("--socket-only", help="Answer on the private socket alone.")] = False,
    repo: Repos = None,
    allow_local: AllowLocal = False,
    openapi: Annotated[bool, typer.Option("--openapi", help="Print the OpenAPI document and exit.")] = False,
) -> None:
    """Answer HTTP requests of programs on this machine: start runs, follow them, get their work. See ccterm help http."""
    from ccterm.cli.serve import print_openapi, serve  # deferred, as in all commands: --help does without

    leave(print_openapi() if openapi else serve(None if socket_only else port, repo or (), allow_local=allow_local))


def token(json: Json = False) -> None:
    """Print the token of the server that runs now: the header Authorization: Bearer TOKEN carries it."""
    from ccterm.cli.serve import print_token

    leave(print_token(as_json=json))
