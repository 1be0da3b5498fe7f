"""`ccterm run` and `ccterm batch`: from flags and files to runs, followed to their end."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ccterm import render
from ccterm.causes import ExitCode
from ccterm.cli.approve import ask_and_apply, may_ask
from ccterm.cli.console import carry_out, code_for, interruptible, say, tell, tell_runs
from ccterm.cli.progress import follow_all
from ccterm.daemon import open_service
from ccterm.draft import Draft, draft
from ccterm.errors import UsageError
from ccterm.models import ExecutionMode, Run
from ccterm.tasks_file import read_tasks


def run_one(task: str | None, file: Path | None, fields: Mapping[str, object], *, ask: bool = False, as_json: bool) -> ExitCode:
    """Run one task; return the exit code of its cause."""
    asks = may_ask(ask=ask, yes=bool(fields.get("yes")), branch=bool(fields.get("branch")))
    return carry_out(_run([draft({"task": _prompt(task, file), **fields})], None, ask=asks, as_json=as_json))


def run_batch(file: Path, max_concurrent: int | None, mode: str | None, *, as_json: bool) -> ExitCode:
    """Run the tasks of a file; return the exit code that its failures share."""
    drafts = read_tasks(file)
    if mode:
        elsewhere = {"mode": ExecutionMode(mode)}
        drafts = [given if given.mode else given.model_copy(update=elsewhere) for given in drafts]
    return carry_out(_run(drafts, max_concurrent, as_json=as_json))


def _prompt(task: str | None, file: Path | None) -> str:
    if (task is None) == (file is None):
        raise UsageError("give the task once", "ccterm run TASK, ccterm run -f FILE, or ccterm run - to read it from stdin")
    try:
        text = file.read_text("utf-8") if file else sys.stdin.read() if task == "-" else task or ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the task cannot be read: {error}", "give a readable UTF-8 file") from error
    if not text.strip():
        raise UsageError("the task is empty", "say what the agent should do")
    return text


async def _run(drafts: Sequence[Draft], max_concurrent: int | None, *, ask: bool = False, as_json: bool) -> ExitCode:
    async with open_service() as service:
        queued = await service.submit(drafts, max_concurrent=max_concurrent)  # Ctrl-C ends it: nothing is recorded yet
        async with interruptible(service):
            await follow_all(service, queued, as_json=as_json)
        ended = [await service.find(run.id) for run in queued]
        if ask:
            ended = [await ask_and_apply(service, run) for run in ended]
    if as_json:
        tell_runs(ended)
    else:
        _tell(ended)
    return code_for(ended)


def _tell(ended: Sequence[Run]) -> None:
    """Put the outcome on stdout and what to do next on stderr."""
    for line in render.run_rows(ended) if len(ended) > 1 else [_line(run) for run in ended]:
        tell(line)
    for run in ended:
        if run.cause and not sys.stderr.isatty():  # on a terminal the progress has said it
            say(f"{run.task.target}: {run.summary.split(chr(10), 1)[0]}")
        if run.action:
            say(f"{run.task.target}: {run.action}")


def _line(run: Run) -> str:
    numbers = [render.change_numbers(run), f"${run.cost_usd:.2f}", render.seconds(run.seconds)]
    return "  ".join(part for part in (render.sign(run), run.task.target, render.outcome(run), *numbers) if part)
