"""The flags of what reads."""

from typing import Annotated

import typer

from ccterm.cli.commands.flags import Json, RunRef, leave


def runs(
    failed: Annotated[bool, typer.Option("--failed", help="Only runs that failed.")] = False,
    since: Annotated[str | None, typer.Option(help="Only runs of the last 90m, 8h, 7d.")] = None,
    limit: Annotated[int, typer.Option("-n", min=1, help="How many at most, newest last.")] = 50,
    json: Json = False,
) -> None:
    """List runs."""
    from ccterm.cli.show import list_runs

    leave(list_runs(failed=failed, since=since, limit=limit, as_json=json))


def show(run: RunRef, json: Json = False) -> None:
    """Show one run: state, steps, numbers, what to do next."""
    from ccterm.cli.show import show_run

    leave(show_run(run, as_json=json))


def logs(
    run: RunRef, follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run ends.")] = False, json: Json = False
) -> None:
    """Print a run's transcript."""
    from ccterm.cli.show import print_logs

    leave(print_logs(run, follow=follow, as_json=json))


def diff(run: RunRef, json: Json = False) -> None:
    """Print what a run changed, as a patch."""
    from ccterm.cli.show import print_diff

    leave(print_diff(run, as_json=json))
