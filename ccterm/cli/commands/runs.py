"""The commands about runs that exist: look at them, give them orders, deliver their work."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ccterm.cli.commands.flags import RUN, AllowDeletions, AllowFiles, AllowLines, AllowPath, Json, RunRef, count, leave

if TYPE_CHECKING:
    from ccterm.models import Allowances


def runs(
    failed: Annotated[bool, typer.Option("--failed", help="Only runs that failed.")] = False,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only runs of the last 90m, 8h, 7d.")] = None,
    limit: Annotated[int, typer.Option("-n", metavar="N", parser=count(1), help="How many at most, newest last.")] = 50,
    json: Json = False,
) -> None:
    """List runs."""
    from ccterm.cli.show import list_runs  # deferred, as in all commands: --help does without

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
    """Print what a run changed, as a patch; of a running one, up to now."""
    from ccterm.cli.show import print_diff

    leave(print_diff(run, as_json=json))


def cancel(
    run: Annotated[str | None, RUN] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every run that is queued or running.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Kill at once and keep nothing.")] = False,
    json: Json = False,
) -> None:
    """Stop a run; what its agent has done so far is kept."""
    from ccterm.cli.run_orders import cancel_run

    leave(cancel_run(run, everything=all_, now=now, as_json=json))


def steer(
    run: RunRef,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to tell the agent; - reads it from stdin.")],
    json: Json = False,
) -> None:
    """Send a message to a running agent."""
    from ccterm.cli.run_orders import steer_run
    from ccterm.cli.run_tasks import typed

    leave(steer_run(run, typed(text), as_json=json))


def hold(run: RunRef, json: Json = False) -> None:
    """Make a running agent wait for input when its turn ends."""
    from ccterm.cli.run_orders import hold_run

    leave(hold_run(run, as_json=json))


def release(run: RunRef, json: Json = False) -> None:
    """Let a waiting agent finish."""
    from ccterm.cli.run_orders import release_run

    leave(release_run(run, as_json=json))


def allow(
    run: RunRef,
    always: Annotated[bool, typer.Option("--always", help="The like of it too, until the run ends.")] = False,
    json: Json = False,
) -> None:
    """Let an agent do what it asks permission for."""
    from ccterm.cli.run_orders import decide_run

    leave(decide_run(run, "always" if always else "allow", as_json=json))


def deny(
    run: RunRef, text: Annotated[str, typer.Argument(metavar="TEXT", help="What to tell the agent.")] = "", json: Json = False
) -> None:
    """Refuse what an agent asks permission for; it goes on without it."""
    from ccterm.cli.run_orders import decide_run

    leave(decide_run(run, "deny", text, as_json=json))


def retry(
    run: Annotated[str | None, RUN] = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="Every run whose login Claude refused; it goes on where its agent stopped.")
    ] = False,
    json: Json = False,
) -> None:
    """Run the same task again."""
    from ccterm.cli.run_orders import retry_run

    leave(retry_run(run, refused=refused, as_json=json))


def continue_(
    run: RunRef,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be done now; - reads it from stdin.")],
    branch: Annotated[str | None, typer.Option(metavar="NAME", help="A new branch instead, from where the run began.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin a new conversation, which is told what came of the earlier one.")] = False,
    json: Json = False,
) -> None:
    """Go on with an ended run: same conversation, same branch."""
    from ccterm.cli.run_orders import continue_run
    from ccterm.cli.run_tasks import typed

    leave(continue_run(run, typed(text), branch=branch, fresh=fresh, as_json=json))


def shell(run: RunRef) -> None:
    """Open a shell where an ended run's agent was; what changes is kept."""
    from ccterm.cli.shell import open_shell

    leave(open_shell(run))


def push(
    run: RunRef,
    allow_deletions: AllowDeletions = None,
    allow_lines: AllowLines = None,
    allow_files: AllowFiles = None,
    allow_path: AllowPath = None,
    json: Json = False,
) -> None:
    """Push what was kept of a run to its branch."""
    from ccterm.cli.run_orders import push_run

    leave(push_run(run, _allowances(allow_deletions, allow_lines, allow_files, allow_path), as_json=json))


def apply(
    run: RunRef,
    path: Annotated[list[str] | None, typer.Option("--path", metavar="FILE", help="Only this changed file; repeatable.")] = None,
    allow_deletions: AllowDeletions = None,
    allow_lines: AllowLines = None,
    allow_files: AllowFiles = None,
    allow_path: AllowPath = None,
    json: Json = False,
) -> None:
    """Bring the changes of a run without a branch into its working copy: all, or none."""
    from ccterm.cli.run_orders import apply_run

    leave(apply_run(run, _allowances(allow_deletions, allow_lines, allow_files, allow_path), path or (), as_json=json))


def _allowances(deletions: int | None, lines: int | None, files: int | None, paths: list[str] | None) -> "Allowances":
    from ccterm.models import Allowances

    return Allowances(deletions=deletions, lines=lines, files=files, paths=tuple(paths or ()))


def undo(run: RunRef, json: Json = False) -> None:
    """Restore what the changes of a run replaced in its working copy."""
    from ccterm.cli.run_orders import undo_run

    leave(undo_run(run, as_json=json))


def fetch(
    run: RunRef,
    repo: Annotated[Path, typer.Option(metavar="DIR", help="The local repository.")] = Path(),
    worktree: Annotated[Path | None, typer.Option(metavar="DIR", help="Also check it out in this new directory.")] = None,
    json: Json = False,
) -> None:
    """Bring a run's work into the local repository as refs/ccterm/RUN."""
    from ccterm.cli.run_orders import fetch_run

    leave(fetch_run(run, repo, worktree, as_json=json))


def clean(
    run: Annotated[str | None, RUN] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every run whose work was delivered.")] = False,
    undelivered: Annotated[bool, typer.Option("--undelivered", help="With --all: also work that was not delivered.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Remove what is kept of a run: its salvage, and boxes that stayed because its work is nowhere else."""
    from ccterm.cli.clean import clean_runs

    leave(clean_runs(run, everything=all_, undelivered=undelivered, yes=yes, as_json=json))
