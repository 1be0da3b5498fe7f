"""`ccterm run` and `ccterm batch`: from flags and files to runs, followed to their end, with a question there when changes await approval."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from errno import EBADF
from pathlib import Path

from ccterm import render
from ccterm.boundaries import refused_text
from ccterm.causes import Cause, ExitCode, advice
from ccterm.cli.console import carry_out, code_for, interruptible, print_data, print_json_line, print_note, print_runs, starting_service
from ccterm.cli.streams import Output
from ccterm.draft import BatchFile, Draft, anchored, at_terminal, draft
from ccterm.errors import UsageError
from ccterm.events import (
    BoxesKept,
    Event,
    Finished,
    Held,
    Notice,
    PermissionAnswered,
    PermissionAsked,
    Pushed,
    Salvaged,
    Started,
    Typing,
    Waiting,
    to_line,
)
from ccterm.models import ExecutionMode, Run
from ccterm.output.sanitise import sanitise
from ccterm.service.protocol import Service
from ccterm.settings import load_settings
from ccterm.tasks_file import read_tasks
from ccterm.values import PendingChange, RefusedHost

_MILESTONES = (Held, Started, Waiting, PermissionAsked, PermissionAnswered, Pushed, Salvaged, BoxesKept, Finished)
_LETTERS = {"added": "A", "modified": "M", "retyped": "T", "deleted": "D"}
_MOST_PATHS = 40
_MOST_HOSTS = 5


def run_one(task: str | None, file: Path | None, fields: Mapping[str, object], *, ask: bool = False, as_json: bool) -> ExitCode:
    """Run one task; return the exit code of its cause."""
    asks = _may_ask(ask=ask, yes=bool(fields.get("apply")), branch=bool(fields.get("branch")))
    return carry_out(_run([anchored(draft({"task": _prompt(task, file), **fields}, flags=True))], None, ask=asks, as_json=as_json))


def run_batch(file: Path, max_concurrent: int | None, execution_mode: str | None, *, as_json: bool) -> ExitCode:
    """Run the tasks of a file; return the exit code that its failures share."""
    drafts, source = read_tasks(file)
    if execution_mode:
        chosen = {"execution_mode": ExecutionMode(execution_mode)}
        drafts = [given if given.execution_mode else given.model_copy(update=chosen) for given in drafts]
    return carry_out(_run([anchored(given) for given in drafts], max_concurrent, source=source, as_json=as_json))


def _prompt(task: str | None, file: Path | None) -> str:
    if (task is None) == (file is None):
        raise UsageError("give the task once", "ccterm run TASK, ccterm run -f FILE, or ccterm run - to read it from stdin")
    text = _read(file, "the task") if file or task == "-" else task or ""
    if not text.strip():
        raise UsageError("the task is empty", "say what the agent should do")
    return text


def typed(text: str) -> str:
    """Return a message to an agent as it was typed, or what stdin holds for "-": an argument has at most 128 KiB. Raises UsageError."""
    return _read(None, "the message") if text == "-" else text


def _read(file: Path | None, what: str) -> str:
    try:
        return file.read_text("utf-8") if file else sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno == EBADF:
            raise UsageError(f"{what} cannot be read: stdin is closed", "write it as an argument, in quotes") from error
        why = (error.strerror or "").lower() if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{what} cannot be read from {file or 'stdin'}: {why}", "give a readable UTF-8 file") from error


async def _run(
    drafts: Sequence[Draft], max_concurrent: int | None, *, source: BatchFile | None = None, ask: bool = False, as_json: bool
) -> ExitCode:
    if sys.stdin.isatty() and sys.stderr.isatty():  # somebody can be asked
        settings = load_settings(None, os.environ)
        drafts = [at_terminal(draft, settings) for draft in drafts]
    async with starting_service() as service:
        queued = await service.submit(drafts, max_concurrent=max_concurrent, source=source)  # Ctrl-C ends it: nothing is recorded yet
        async with interruptible(service):
            await follow_all(service, queued, as_json=as_json)
        ended = [await service.find(run.id) for run in queued]
        if ask:
            ended = [await _ask_and_apply(service, run) for run in ended]
    return code_for(ended, print_runs if as_json else print_ended)


def print_ended(ended: Sequence[Run]) -> None:
    """Print the outcome to stdout and what to do next to stderr."""
    for line in render.run_rows(ended) if len(ended) > 1 else [_line(run) for run in ended]:
        print_data(line)
    refused = [run for run in ended if run.cause is Cause.AUTH]
    if len(refused) > 1:  # one login, and one thing to do about it
        found = advice(Cause.AUTH)
        print_note(f"{', '.join(run.task.target for run in refused)}: {found.sentence}: {refused[0].summary.split(chr(10), 1)[0]}")
        print_note(f"to start all of them again: {found.action}")
    for run in ended if len(refused) <= 1 else [run for run in ended if run not in refused]:
        if run.cause and not sys.stderr.isatty():  # on a terminal the progress has shown it
            print_note(f"{run.task.target}: {run.summary.split(chr(10), 1)[0]}")
        if run.denied:
            print_note(f"{run.task.target}: the agent was not allowed to do this: {'; '.join(run.denied)}")
        if run.action:
            print_note(f"{run.task.target}: {run.action}")
    _print_refused_hosts([run for run in ended if run.refused_hosts and run.task.egress.mode == "list"])


def _print_refused_hosts(runs: Sequence[Run]) -> None:
    """Say which hosts runs could not reach; the same of many, as of a batch on one repository, is said once."""
    found = dict[str, list[Run]]()
    for run in runs:
        found.setdefault(_shortened(run.refused_hosts), []).append(run)
    for hosts, same in found.items():
        ref = same[0].ref
        fix = f"ccterm egress log {ref} says why, ccterm egress allow {ref} HOST adds one for retry and continue"
        print_note(f"{', '.join(run.task.target for run in same)}: not reached: {hosts}; {fix}")


def _shortened(refused: Sequence[RefusedHost]) -> str:
    more = [f"{len(refused) - _MOST_HOSTS} more"] if len(refused) > _MOST_HOSTS else []
    return ", ".join([*map(refused_text, refused[:_MOST_HOSTS]), *more])


def _line(run: Run) -> str:
    numbers = [render.change_numbers(run), render.dollars(run), render.seconds(run.seconds)]
    return "  ".join(part for part in (render.sign(run), run.task.target, render.outcome(run), *numbers) if part)


async def follow_all(service: Service, runs: Sequence[Run], *, as_json: bool) -> None:
    """Follow runs to their ends: events as JSON lines on stdout, or on a terminal lines for people on stderr.

    Runs go on when stdout can no longer be written.
    """
    progress, output = _Progress(several=len(runs) > 1), Output(print_json_line)
    async with asyncio.TaskGroup() as group:
        for run in runs:
            group.create_task(_follow(service, run, progress, output if as_json else None))


async def _follow(service: Service, run: Run, progress: "_Progress", output: Output | None) -> None:
    watched = sys.stderr.isatty()
    async for event in service.follow(run.id):
        if output:
            output.print(to_line(event).decode().rstrip("\n"))
        elif watched and not isinstance(event, Typing):
            progress.show(run, event)


class _Progress:
    """Shows one run in full, several by their milestones."""

    def __init__(self, *, several: bool) -> None:
        self._several = several
        self._held: set[str] = set()

    def show(self, run: Run, event: Event) -> None:
        """Print an event."""
        if self._several and not self._is_milestone(event):
            return
        for line in render.lines(event):
            print_note(f"{run.task.target}: {line}" if self._several else line)
        if isinstance(event, PermissionAsked):
            print_note(
                f"  ccterm allow {run.ref} lets it, --always until it ends; ccterm deny {run.ref} TEXT refuses, with a word for the agent"
            )

    def _is_milestone(self, event: Event) -> bool:
        """Whether an event is worth a line among those of several runs; a reason that many are held for is shown once."""
        if isinstance(event, Held):
            known = event.reason in self._held
            self._held.add(event.reason)
            return not known
        return isinstance(event, _MILESTONES) or (isinstance(event, Notice) and event.level != "info")


def _may_ask(*, ask: bool, yes: bool, branch: bool) -> bool:
    """Return whether a person is asked at the end. Raises UsageError for flags that do not go together."""
    if ask and yes:
        raise UsageError("--ask and --yes contradict each other", "give one of them")
    if branch and (ask or yes):
        raise UsageError("a run with a branch is pushed, nothing comes into the working copy", "leave out --yes and --ask, or --branch")
    terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if ask and not terminal:
        raise UsageError("--ask needs a terminal", "leave it out: the changes are kept, and ccterm apply brings them in")
    return terminal and not yes and not branch


async def _ask_and_apply(service: Service, run: Run) -> Run:
    """Show what a run would change and bring it in when the answer is yes; a run that awaits nothing is returned as it is."""
    if not run.awaits_apply:
        return run
    for line in _summary(run, await service.pending(run.id)):
        print_note(line)
    if not await confirmed(f"bring this into {run.task.repo}? [y/N] "):
        return run
    return await service.apply(run.id)


def _summary(run: Run, changes: Sequence[PendingChange]) -> list[str]:
    paths = [f"{_LETTERS[change.status]} {sanitise(change.path)}" for change in changes[:_MOST_PATHS]]
    more = [f"… {len(changes) - _MOST_PATHS} more"] if len(changes) > _MOST_PATHS else []
    warnings = [f"! {finding.text}" for finding in run.verdict.findings] if run.verdict else []
    return [*paths, *more, render.change_numbers(run), *warnings]


async def confirmed(question: str) -> bool:
    """Ask on the terminal. The line is read only once it is there: a thread that waits for it could not be cancelled by Ctrl-C."""
    sys.stderr.write(question)
    sys.stderr.flush()
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
