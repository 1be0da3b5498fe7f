"""The commands about the Claude login."""

from typing import Annotated

import typer

from ccterm.cli.commands.flags import Json, leave, option


def setup(
    file: Annotated[bool, typer.Option("--file", help="Keep the token in a file of your own instead of the keyring.")] = False,
    prove: Annotated[
        bool | None, typer.Option("--prove/--no-prove", help="Prove the token with one tiny request. [default: asked on a terminal]")
    ] = None,
    json: Json = False,
) -> None:
    """Store a token that lasts a year (claude setup-token), for all runs. It may also be given on stdin."""
    from ccterm.cli.auth_setup import set_up  # deferred, as in all commands: --help does without

    leave(set_up(file=file, prove=prove, as_json=json))


def export(
    print_path: Annotated[bool, typer.Option("--print-path", help="Print the file's path on stdout.")] = False, json: Json = False
) -> None:
    """Copy your login's access token for containers, without the refresh token; it lasts some 8 hours."""
    from ccterm.cli.auth import export

    leave(export(print_path=print_path, as_json=json))


def status(
    execution_mode: Annotated[str | None, option("execution_mode", "For runs in this mode. [default: where runs go]")] = None,
    json: Json = False,
) -> None:
    """Show which login runs use and why, until when, and which runs hold it; never a value."""
    from ccterm.cli.auth import status

    leave(status(execution_mode, as_json=json))


def logout(json: Json = False) -> None:
    """Remove the tokens that ccterm stored or exported. Your own Claude login stays."""
    from ccterm.cli.auth import logout

    leave(logout(as_json=json))
