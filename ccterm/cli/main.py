"""The commands and their flags. Bodies are imported when a command runs, so that `--help` costs nothing."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ccterm import __version__

app = typer.Typer(
    name="ccterm",
    help="Launch many Claude Code agents at once; each one's work comes back as a pushed branch, or into your working copy.\n\n"
    "Without a command: the terminal, in which agents are launched, watched side by side and steered.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


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


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ccterm {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Carry runs out in the terminal's own process: they end with it.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,  # noqa: ARG001
) -> None:
    """Show the terminal when there is no command, or how to get help when there is no terminal either."""
    if context.invoked_subcommand is not None:
        return
    from ccterm.cli.terminal import on_terminal, terminal

    if on_terminal():
        _exit(terminal(foreground=foreground))
    typer.echo(context.get_help())


@app.command(hidden=True)
def owner(idle: Annotated[float, typer.Option(help="Seconds without runs and visitors after which it leaves.")] = 600.0) -> None:
    """Carry runs out for others until nobody needs it."""
    from ccterm.cli.owner import own

    _exit(own(idle))


@app.command()
def run(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="What the agent should do; - reads it from stdin.")] = None,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="Read the task from a file.")] = None,
    repo: Annotated[str | None, typer.Option(help="URL, or path of a working copy (its origin is used). [default: here]")] = None,
    branch: Annotated[
        str | None, typer.Option(help="Branch to push to; continued when it exists. [default: none, the work comes back here]")
    ] = None,
    base: Annotated[str | None, typer.Option(help="Branch, tag or sha that a new branch starts from. [default: the remote's]")] = None,
    mode: Annotated[Where | None, typer.Option(help="Where it runs. [default: dagger]")] = None,
    agent: Annotated[str | None, typer.Option(help="claude or scripted. [default: claude]")] = None,
    model: Annotated[str | None, typer.Option(help="Model for the agent.")] = None,
    agent_arg: Annotated[list[str] | None, typer.Option(help="One more argument for the agent's program; repeatable.")] = None,
    message: Annotated[str | None, typer.Option(help="Subject of the commit.")] = None,
    timeout: Annotated[str | None, typer.Option(help="Time limit, such as 90s, 45m, 2h. [default: 60m]")] = None,
    budget: Annotated[float | None, typer.Option(help="Limit in dollars at list prices.")] = None,
    max_turns: Annotated[int | None, typer.Option(help="Limit of the agent's turns.")] = None,
    setup: Annotated[str | None, typer.Option(help="Command that prepares the tree before the agent.")] = None,
    verify: Annotated[str | None, typer.Option(help="Command that must succeed on the new commit before it is pushed.")] = None,
    hold: Annotated[bool, typer.Option("--hold", help="Wait for a word (ccterm steer) after each turn.")] = False,
    allow_default_branch: Annotated[
        bool, typer.Option("--allow-default-branch", help="Allow pushing to the remote's default branch.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without --branch: bring the changes in unless a rule refuses them.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Without --branch: show what would change and ask. [default on a terminal]")] = False,
    allow_deletions: AllowDeletions = None,
    allow_lines: AllowLines = None,
    allow_files: AllowFiles = None,
    allow_path: AllowPath = None,
    skip_permissions: Annotated[
        bool, typer.Option("--skip-permissions", help="Local mode: let the agent do everything that you may do.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines, last the run document.")] = False,
) -> None:
    """Run one task: on a fresh clone, to a pushed branch; or without --branch on a snapshot of this working copy, and back into it."""
    from ccterm.cli.launch import run_one

    entry = {
        "repo": repo,
        "branch": branch,
        "base": base,
        "execution_mode": mode.value if mode else None,
        "agent": agent,
        "model": model,
        "agent_args": agent_arg or None,
        "message": message,
        "timeout": timeout,
        "budget": budget,
        "max_turns": max_turns,
        "setup": setup,
        "verify": verify,
        "hold": hold or None,
        "allow_default_branch": allow_default_branch or None,
        "skip_permissions": skip_permissions or None,
        "yes": yes or None,
        "allow_deletions": allow_deletions,
        "allow_lines": allow_lines,
        "allow_files": allow_files,
        "allow_path": allow_path or None,
    }
    _exit(run_one(task, file, entry, ask=ask, as_json=json))


@app.command()
def batch(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Tasks as YAML or JSON Lines.")],
    max_concurrent: Annotated[int | None, typer.Option(min=1, help="How many of them run at once. [default: 4]")] = None,
    mode: Annotated[Where | None, typer.Option(help="Where they run, unless a task says so itself.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines, last the run documents.")] = False,
) -> None:
    """Run the tasks of a file, side by side."""
    from ccterm.cli.launch import run_batch

    _exit(run_batch(file, max_concurrent, mode.value if mode else None, as_json=json))


@app.command()
def demo(
    plain: Annotated[bool, typer.Option("--plain", help="Print a table instead of showing the terminal.")] = False, json: Json = False
) -> None:
    """Show the main job with scripted agents; needs only git."""
    from ccterm.cli.terminal import on_terminal

    if on_terminal() and not plain and not json:
        from ccterm.cli.demo_terminal import demo_terminal

        _exit(demo_terminal())
    from ccterm.cli.demo import demo as play

    _exit(play(as_json=json))


@app.command()
def runs(
    failed: Annotated[bool, typer.Option("--failed", help="Only runs that failed.")] = False,
    since: Annotated[str | None, typer.Option(help="Only runs of the last 90m, 8h, 7d.")] = None,
    limit: Annotated[int, typer.Option("-n", min=1, help="How many at most, newest last.")] = 50,
    json: Json = False,
) -> None:
    """List runs."""
    from ccterm.cli.look import list_runs

    _exit(list_runs(failed=failed, since=since, limit=limit, as_json=json))


@app.command()
def show(run: RunRef, json: Json = False) -> None:
    """Show one run: state, steps, numbers, what to do next."""
    from ccterm.cli.look import show_run

    _exit(show_run(run, as_json=json))


@app.command()
def logs(
    run: RunRef, follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run ends.")] = False, json: Json = False
) -> None:
    """Print a run's transcript."""
    from ccterm.cli.look import print_logs

    _exit(print_logs(run, follow=follow, as_json=json))


@app.command()
def diff(run: RunRef, json: Json = False) -> None:
    """Print what a run changed, as a patch."""
    from ccterm.cli.look import print_diff

    _exit(print_diff(run, as_json=json))


@app.command()
def cancel(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="A run's id, any unique prefix of it, or `last`.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every run that is queued or running.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Kill at once and keep nothing.")] = False,
    json: Json = False,
) -> None:
    """Stop a run; what its agent has done so far is kept."""
    from ccterm.cli.act import cancel_run

    _exit(cancel_run(run, everything=all_, now=now, as_json=json))


@app.command()
def steer(run: RunRef, text: Annotated[str, typer.Argument(help="What to tell the agent.")], json: Json = False) -> None:
    """Say something to a running agent."""
    from ccterm.cli.act import steer_run

    _exit(steer_run(run, text, as_json=json))


@app.command()
def hold(run: RunRef, json: Json = False) -> None:
    """Let a running agent wait for a word when its turn ends."""
    from ccterm.cli.act import hold_run

    _exit(hold_run(run, as_json=json))


@app.command()
def release(run: RunRef, json: Json = False) -> None:
    """Let a waiting agent end."""
    from ccterm.cli.act import release_run

    _exit(release_run(run, as_json=json))


@app.command()
def retry(run: RunRef, json: Json = False) -> None:
    """Run the same task again."""
    from ccterm.cli.act import retry_run

    _exit(retry_run(run, as_json=json))


@app.command()
def push(
    run: RunRef,
    allow_deletions: AllowDeletions = None,
    allow_lines: AllowLines = None,
    allow_files: AllowFiles = None,
    allow_path: AllowPath = None,
    json: Json = False,
) -> None:
    """Push what was kept of a run to its branch."""
    from ccterm.cli.act import allowances, push_run

    _exit(push_run(run, allowances(allow_deletions, allow_lines, allow_files, allow_path), as_json=json))


@app.command()
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
    from ccterm.cli.act import allowances, apply_run

    _exit(apply_run(run, allowances(allow_deletions, allow_lines, allow_files, allow_path), path or (), as_json=json))


@app.command()
def undo(run: RunRef, json: Json = False) -> None:
    """Put back what the changes of a run replaced in its working copy."""
    from ccterm.cli.act import undo_run

    _exit(undo_run(run, as_json=json))


@app.command()
def fetch(
    run: RunRef,
    repo: Annotated[Path, typer.Option(help="The local repository.")] = Path(),
    worktree: Annotated[Path | None, typer.Option(help="Also check it out in this new directory.")] = None,
    json: Json = False,
) -> None:
    """Bring a run's work into the local repository as refs/ccterm/RUN."""
    from ccterm.cli.act import fetch_run

    _exit(fetch_run(run, repo, worktree, as_json=json))


@app.command()
def trust(path: Annotated[Path, typer.Argument(help="A working copy with a .ccterm.toml.")] = Path(), json: Json = False) -> None:
    """Let a working copy's .ccterm.toml run its commands here."""
    from ccterm.cli.act import trust_directory

    _exit(trust_directory(path, as_json=json))


image = typer.Typer(help="Make, list and remove the images that containers are made of.", no_args_is_help=True)
app.add_typer(image, name="image")


@image.command("build")
def image_build(
    repo: Annotated[str | None, typer.Option(help="The image of this repository's settings. [default: ccterm's own]")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Make it even when it is there.")] = False,
    json: Json = False,
) -> None:
    """Make an image now, with all that it says; runs make it by themselves when they need it."""
    from ccterm.cli.image import build_image

    _exit(build_image(repo, anew=anew, as_json=json))


@image.command("show")
def image_show(json: Json = False) -> None:
    """List the images that were made."""
    from ccterm.cli.image import show_images

    _exit(show_images(as_json=json))


@image.command("rm")
def image_rm(
    key: Annotated[str | None, typer.Argument(metavar="IMAGE", help="Its key, or the beginning of it.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every image.")] = False,
    json: Json = False,
) -> None:
    """Remove an image; the next run makes it again."""
    from ccterm.cli.image import remove_images

    _exit(remove_images(key, everything=all_, as_json=json))


@app.command()
def check(
    mode: Annotated[Where | None, typer.Option(help="Check what this place needs. [default: where runs go]")] = None, json: Json = False
) -> None:
    """Check what a run needs, each thing with its fix."""
    from ccterm.cli.check import run_checks

    _exit(run_checks(mode.value if mode else None, as_json=json))


def _exit(code: int) -> None:
    raise typer.Exit(code)


def main() -> None:
    """Run the command line; every expected fault is one sentence on stderr and an exit code."""
    try:
        app(prog_name="ccterm")
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the door of the program: what nobody foresaw becomes one line here
        from ccterm.cli.faults import explain

        sys.exit(explain(error))
