"""`ccterm run` and `ccterm batch`: from flags and files to runs, followed to their end."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from ccterm.causes import ExitCode
from ccterm.cli import render
from ccterm.cli.progress import follow_all
from ccterm.cli.talk import carry_out, code_for, interruptible, say, tell, tell_runs
from ccterm.errors import UsageError
from ccterm.models import Draft, Run
from ccterm.service import AgentService
from ccterm.tasks_file import TaskEntry, read_tasks


def run_one(task: str | None, file: Path | None, fields: Mapping[str, object], *, as_json: bool) -> ExitCode:
    """Run one task; return the exit code of its cause."""
    draft = _draft({"task": _prompt(task, file), **{key: value for key, value in fields.items() if value is not None}})
    return carry_out(_run([draft], None, as_json=as_json))


def run_batch(file: Path, max_concurrent: int | None, mode: str | None, *, as_json: bool) -> ExitCode:
    """Run the tasks of a file; return the exit code that its failures share."""
    drafts = [_from_file(entry, mode) for entry in read_tasks(file)]
    return carry_out(_run(drafts, max_concurrent, as_json=as_json))


def _from_file(entry: TaskEntry, mode: str | None) -> Draft:
    given = entry.model_dump(exclude_none=True, exclude={"prompt", "mode", "silence", "allow_deletions", "allow_paths"})
    if entry.timeout:
        given["timeout"] = f"{entry.timeout.total_seconds()}s"
    return _draft({"execution_mode": mode, **given, "task": entry.prompt, **({"execution_mode": entry.mode} if entry.mode else {})})


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


def _draft(fields: Mapping[str, object]) -> Draft:
    try:
        return Draft.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", "see ccterm run --help") from error


async def _run(drafts: Sequence[Draft], max_concurrent: int | None, *, as_json: bool) -> ExitCode:
    async with AgentService.open() as service, interruptible(service):
        queued = await service.submit(drafts, max_concurrent=max_concurrent)
        await follow_all(service, queued, as_json=as_json)
        ended = [await service.find(run.id) for run in queued]
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
        if run.action:
            say(f"{run.task.target}: {run.action}")


def _line(run: Run) -> str:
    numbers = [render.change_numbers(run), f"${run.cost_usd:.2f}", render.seconds(run.seconds)]
    return "  ".join(part for part in (render.sign(run), run.task.target, render.outcome(run), *numbers) if part)
