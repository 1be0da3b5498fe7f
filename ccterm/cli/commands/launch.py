"""The flags of what starts work, or looks whether it could."""

from pathlib import Path
from typing import Annotated

import typer

from ccterm.cli.commands.flags import AllowDeletions, AllowFiles, AllowLines, AllowPath, Json, leave, where


def owner(idle: Annotated[float, typer.Option(help="Seconds without runs and visitors after which it leaves.")] = 600.0) -> None:
    """Carry runs out for others until nobody needs it."""
    from ccterm.cli.owner import own

    leave(own(idle))


def run(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="What the agent should do; - reads it from stdin.")] = None,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="Read the task from a file.")] = None,
    repo: Annotated[str | None, typer.Option(help="URL, or path of a working copy (its origin is used). [default: here]")] = None,
    branch: Annotated[
        str | None, typer.Option(help="Branch to push to; continued when it exists. [default: none, the work comes back here]")
    ] = None,
    base: Annotated[str | None, typer.Option(help="Branch, tag or sha that a new branch starts from. [default: the remote's]")] = None,
    mode: Annotated[str | None, where("Where it runs. [default: dagger]")] = None,
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
        "execution_mode": mode,
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
    leave(run_one(task, file, entry, ask=ask, as_json=json))


def batch(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Tasks as YAML or JSON Lines.")],
    max_concurrent: Annotated[int | None, typer.Option(min=1, help="How many of them run at once. [default: 4]")] = None,
    mode: Annotated[str | None, where("Where they run, unless a task says so itself.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines, last the run documents.")] = False,
) -> None:
    """Run the tasks of a file, side by side."""
    from ccterm.cli.launch import run_batch

    leave(run_batch(file, max_concurrent, mode, as_json=json))


def demo(
    plain: Annotated[bool, typer.Option("--plain", help="Print a table instead of showing the terminal.")] = False, json: Json = False
) -> None:
    """Show the main job with scripted agents; needs only git."""
    from ccterm.cli.terminal import on_terminal

    if on_terminal() and not plain and not json:
        from ccterm.cli.demo_terminal import demo_terminal

        leave(demo_terminal())
    from ccterm.cli.demo import demo as play

    leave(play(as_json=json))


def check(mode: Annotated[str | None, where("Check what this place needs. [default: where runs go]")] = None, json: Json = False) -> None:
    """Check what a run needs, each thing with its fix."""
    from ccterm.cli.check import run_checks

    leave(run_checks(mode, as_json=json))
