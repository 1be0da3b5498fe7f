"""The commands about the network of boxes."""

from typing import Annotated

import typer

from ccterm.cli.commands.flags import Json, RunRef, leave, runs_like


def log(run: RunRef, json: Json = False) -> None:
    """List the hosts that a run's programs asked for: let through or refused, how often, and why not."""
    from ccterm.cli.egress import print_log  # deferred, as in all commands: --help does without

    leave(print_log(run, as_json=json))


def suggest(
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help="Runs whose hosts the list is to hold.", autocompletion=runs_like)],
    json: Json = False,
) -> None:
    """Print a list of the hosts that runs reached, to paste into the settings."""
    from ccterm.cli.egress import print_suggestion

    leave(print_suggestion(runs, as_json=json))


def allow(
    run: RunRef,
    hosts: Annotated[list[str], typer.Argument(metavar="HOST", help="Hosts that it was refused, or others, or presets of hosts.")],
    json: Json = False,
) -> None:
    """Let what goes on with a run (retry, continue) reach more hosts, and new runs too where the settings have a list for its repository."""
    from ccterm.cli.egress import allow_hosts

    leave(allow_hosts(run, hosts, as_json=json))
