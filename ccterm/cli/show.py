"""The commands that look and change nothing: at runs, and at what runs need."""

import sys
from datetime import datetime

from ccterm import render
from ccterm.causes import ExitCode
from ccterm.cli.console import (
    carry_out,
    opened_record,
    opened_service,
    print_data,
    print_json,
    print_json_line,
    print_note,
    print_progress,
    settled,
    state_dir,
)
from ccterm.cli.main import environment
from ccterm.errors import UsageError
from ccterm.events import to_line
from ccterm.kept_refs import kept_sentence, what_to_do
from ccterm.models import CheckResult, ExecutionMode, Run, RunId, State, now
from ccterm.proof import uncommitted

_SIGNS = {"pass": "✓", "warn": "!", "fail": "✗"}


def list_runs(*, failed: bool, since: str | None, limit: int, as_json: bool) -> ExitCode:
    """Print runs, newest last."""
    states = [State.FAILED] if failed else []
    begin = _begin(since) if since else None

    async def work() -> list[Run]:
        async with opened_record() as record:
            return await record.runs(states=states, since=begin, limit=limit)

    found = carry_out(work())
    if as_json:
        print_json([run.document() for run in found])
    elif found:
        for line in render.run_rows(found):
            print_data(line)
    else:
        print_note("no runs yet" if not (failed or since) else "no such runs")
    return ExitCode.OK


def _begin(since: str) -> datetime:
    from ccterm.settings.units import duration  # deferred: it brings all settings

    try:
        return now() - duration(since)
    except ValueError as error:
        wrong, _, fix = str(error).partition("; ")
        raise UsageError(f"--since {since!r} {wrong}", fix) from error


def show_run(ref: str, *, as_json: bool) -> ExitCode:
    """Print one run."""

    async def work() -> tuple[Run, dict[RunId, str]]:
        async with opened_record() as record:
            run = await settled(record, ref)
            earlier = {each: (await record.find(each)).label for each in run.attempts}
            return run, earlier

    run, called = carry_out(work())
    if as_json:
        print_json(run.document())
    else:
        for line in render.run_facts(run, called):
            print_data(line)
    return ExitCode.OK


def print_logs(ref: str, *, follow: bool, as_json: bool) -> ExitCode:
    """Print a run's transcript; with follow, to its end."""

    async def work() -> None:
        async with opened_record() as record:
            run = await record.find(ref)
            async for event in record.follow(run.id, live=follow):
                if as_json:
                    print_json_line(to_line(event).decode().rstrip("\n"))
                    continue
                for line in render.lines(event):
                    print_data(line)

    carry_out(work())
    return ExitCode.OK


def print_diff(ref: str, *, as_json: bool) -> ExitCode:
    """Print a run's patch, in git's own bytes."""

    async def work() -> tuple[Run, bytes | None]:
        async with opened_record() as record:
            run = await settled(record, ref)
            if run.state is not State.RUNNING and not (run.state.final and uncommitted(run)):
                return run, await record.patch(run.id)
        async with opened_service() as service:  # the tree that was kept is committed first; a running agent's is read as it is
            return await service.find(run.id), await service.patch(run.id)

    run, patch = carry_out(work())
    if patch is None or not (patch or run.state.final):
        raise UsageError(f"run {run.label} has no changes to show ({run.state})", f"ccterm show {run.ref}")
    if as_json:
        changes = run.changes.model_dump(mode="json") if run.changes else None
        print_json({"run": run.id, "changes": changes, "patch": patch.decode("utf-8", "replace")})
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(_for_terminal(patch) if sys.stdout.isatty() else patch)
        sys.stdout.flush()
    if run.side:
        only = "" if run.commit else "shown above; "
        print_note(f"{kept_sentence(run.side)} beside the tree; {only}{what_to_do(run.ref, run.id)}")
    return ExitCode.OK


def _for_terminal(patch: bytes) -> bytes:
    """Return a patch without anything that drives the terminal: an agent wrote those bytes."""
    from ccterm.output.sanitise import sanitise  # deferred: only a terminal needs it

    return sanitise(patch.decode("utf-8", "replace")).encode()


def print_checks(mode: str | None, repo: str | None, branch: str | None, *, as_json: bool) -> ExitCode:
    """Run all preflight checks, also of a repository and branch that are named; exit 3 when one fails.

    The daemon answers if there is one, since it would carry runs out. None is started: one of the checks is whether the state directory
    can be used.
    """
    from ccterm.daemon import asked_checks  # deferred: of these commands this one alone needs executors
    from ccterm.daemon.machine import ThisMachine

    machine = ThisMachine(state_dir(), environment())
    execution_mode = ExecutionMode(mode) if mode else None
    names = [question.name for question in machine.questions(execution_mode, repo, branch)]

    async def work() -> list[CheckResult]:
        """All run at once; each is shown once those before it in the list are."""
        print_progress(wanted=False)  # the results say it
        answers, shown = dict[str, CheckResult](), list[CheckResult]()
        async for result in asked_checks(machine, execution_mode, repo, branch):
            answers[result.name] = result
            while len(shown) < len(names) and (following := answers.pop(names[len(shown)], None)):
                shown.append(following)
                if not as_json:
                    _print_check(following)
        for result in answers.values():  # those that another version of the daemon knows, or no longer knows
            shown.append(result)
            if not as_json:
                _print_check(result)
        return shown

    results = carry_out(work())
    if as_json:
        print_json([result.model_dump(mode="json") for result in results])
    return ExitCode.PREFLIGHT if any(result.status == "fail" for result in results) else ExitCode.OK


def _print_check(result: CheckResult) -> None:
    print_data(f"{_SIGNS[result.status]} {result.group:<12} {result.text}  ({render.seconds(result.seconds)})")
    if result.fix and result.status != "pass":
        print_data(f"  {'':<12} {result.fix}")
