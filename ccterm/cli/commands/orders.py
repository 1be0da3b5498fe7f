"""The flags of what changes something: orders to runs, deliveries, trust."""

from pathlib import Path
from typing import Annotated

import typer

from ccterm.cli.commands.flags import AllowDeletions, AllowFiles, AllowLines, AllowPath, Json, RunRef, leave


def cancel(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="A run's id, any unique prefix of it, or `last`.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every run that is queued or running.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Kill at once and keep nothing.")] = False,
    json: Json = False,
) -> None:
    """Stop a run; what its agent has done so far is kept."""
    from ccterm.cli.run_orders import cancel_run

    leave(cancel_run(run, everything=all_, now=now, as_json=json))


def steer(run: RunRef, text: Annotated[str, typer.Argument(help="What to tell the agent.")], json: Json = False) -> None:
    """Say something to a running agent."""
    from ccterm.cli.run_orders import steer_run

    leave(steer_run(run, text, as_json=json))


def hold(run: RunRef, json: Json = False) -> None:
    """Let a running agent wait for a word when its turn ends."""
    from ccterm.cli.run_orders import hold_run

    leave(hold_run(run, as_json=json))


def release(run: RunRef, json: Json = False) -> None:
    """Let a waiting agent end."""
    from ccterm.cli.run_orders import release_run

    leave(release_run(run, as_json=json))


def retry(run: RunRef, json: Json = False) -> None:
    """Run the same task again."""
    from ccterm.cli.run_orders import retry_run

    leave(retry_run(run, as_json=json))


def push(
    run: RunRef,
    allow_deletions: AllowDeletions = None,
    allow_lines: AllowLines = None,
    allow_files: AllowFiles = None,
    allow_path: AllowPath = None,
    json: Json = False,
) -> None:
    """Push what was kept of a run to its branch."""
    from ccterm.cli.run_orders import allowances, push_run

    leave(push_run(run, allowances(allow_deletions, allow_lines, allow_files, allow_path), as_json=json))


def apply(
    run: RunRef,
    path: Annotated[list[str] | None, typer.Option("--path", help="Only this changed file; repeatable.")] = None,
    allow_deletions: AllowDeletions = None,
    allow_lines: AllowLines = None,
    allow_files: AllowFiles = None,
    allow_path: AllowPath = None,
    json: Json = False,
) -> None:
    """Bring the changes of a run without a branch into its working copy: all, or none."""
    from ccterm.cli.run_orders import allowances, apply_run

    leave(apply_run(run, allowances(allow_deletions, allow_lines, allow_files, allow_path), path or (), as_json=json))


def undo(run: RunRef, json: Json = False) -> None:
    """Put back what the changes of a run replaced in its working copy."""
    from ccterm.cli.run_orders import undo_run

    leave(undo_run(run, as_json=json))


def fetch(
    run: RunRef,
    repo: Annotated[Path, typer.Option(help="The local repository.")] = Path(),
    worktree: Annotated[Path | None, typer.Option(help="Also check it out in this new directory.")] = None,
    json: Json = False,
) -> None:
    """Bring a run's work into the local repository as refs/ccterm/RUN."""
    from ccterm.cli.run_orders import fetch_run

    leave(fetch_run(run, repo, worktree, as_json=json))


def trust(path: Annotated[Path, typer.Argument(help="A working copy with a .ccterm.toml.")] = Path(), json: Json = False) -> None:
    """Let a working copy's .ccterm.toml run its commands here."""
    from ccterm.cli.run_orders import trust_directory

    leave(trust_directory(path, as_json=json))
