"""The commands that start work."""

from pathlib import Path
from typing import Annotated

import typer

from ccterm.cli.commands.flags import Json, count, given, leave, option, with_task_flags
from ccterm.task_fields import FIELDS

RUN_EXAMPLES = """\b
Examples:
  ccterm run "Add a LICENSE" --repo https://github.com/acme/shop --branch agent/...
  ccterm run -f task.md --branch fix/login --verify "npm test" --timeout 45m
  ccterm run "Make the flaky test reliable" --yes        into this working copy

\b
Exit code: 0 succeeded, 1 failed, 2 wrong request, 3 something is missing, 4 a
rule forbids it, 5 not delivered, 6 login or limit, 7 the agent was denied
something, 130 cancelled; whatever it is, work that was begun is kept. See
ccterm help commands."""
"""Shown below `ccterm run --help`."""
BATCH_KEYS = "\n".join(
    [
        "\b",
        "Example:",
        "  ccterm batch tasks.yaml --max-concurrent 8",
        "",
        "\b",
        "Keys of a task in FILE:",
        *(
            f"  {' or '.join((name, *field.also)):<24}{field.sentence.replace('; repeatable', ', or a list of them')}"
            for name, field in FIELDS.items()
        ),
    ]
)
"""Shown below `ccterm batch --help`."""


@with_task_flags
def run(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="What the agent should do; - reads it from stdin.")] = None,
    file: Annotated[Path | None, typer.Option("-f", "--file", metavar="FILE", help="Read the task from a file.")] = None,
    *,
    ask: Annotated[bool, typer.Option("--ask", help="Without --branch: show what would change and ask. [default on a terminal]")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines, last the run document.")] = False,
    **fields: object,
) -> None:
    """Run one task: on a fresh clone, to a pushed branch; or without --branch on a snapshot of this working copy, and back into it."""
    from ccterm.cli.run_tasks import run_one  # deferred, as in all commands: --help does without

    leave(run_one(task, file, given(fields), ask=ask, as_json=json))


def batch(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Tasks as YAML or JSON Lines.")],
    max_concurrent: Annotated[
        int | None, typer.Option(parser=count(1), metavar="N", help="How many of them run at once. [default: 4]")
    ] = None,
    execution_mode: Annotated[str | None, option("execution_mode", "Where they run, unless a task says so itself.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines, last the run documents.")] = False,
) -> None:
    """Run the tasks of a file, side by side."""
    from ccterm.cli.run_tasks import run_batch

    leave(run_batch(file, max_concurrent, execution_mode, as_json=json))


def demo(
    plain: Annotated[bool, typer.Option("--plain", help="Print a table instead of showing the terminal.")] = False, json: Json = False
) -> None:
    """Show what ccterm does with scripted agents; needs only git."""
    from ccterm.cli.terminal import on_terminal

    if on_terminal() and not plain and not json:
        from ccterm.cli.demo_terminal import demo_terminal

        leave(demo_terminal())
    from ccterm.cli.demo import demo as play

    leave(play(as_json=json))
