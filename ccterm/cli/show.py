"""The commands that look at runs and change nothing."""

import sys
from datetime import datetime

from ccterm import render
from ccterm.causes import ExitCode
from ccterm.cli.console import carry_out, say, state_dir, tell, tell_json
from ccterm.daemon import open_record
from ccterm.errors import UsageError
from ccterm.events import to_line
from ccterm.models import Run, State, now
from ccterm.workspace.work import patch_of


def list_runs(*, failed: bool, since: str | None, limit: int, as_json: bool) -> ExitCode:
    """Print runs, newest last."""
    states = [State.FAILED] if failed else []
    begin = _begin(since) if since else None

    async def work() -> list[Run]:
        async with open_record() as record:
            return await record.runs(states=states, since=begin, limit=limit)

    found = carry_out(work())
    if as_json:
        tell_json([run.document() for run in found])
    elif found:
        for line in render.run_rows(found):
            tell(line)
    else:
        say("no runs yet" if not (failed or since) else "no such runs")
    return ExitCode.OK


def show_run(ref: str, *, as_json: bool) -> ExitCode:
    """Print one run."""
    run = carry_out(_find(ref))
    if as_json:
        tell_json(run.document())
    else:
        for line in _portrait(run):
            tell(line)
    return ExitCode.OK


def _begin(since: str) -> datetime:
    from ccterm.settings.units import duration  # deferred: it brings all settings

    try:
        return now() - duration(since)
    except ValueError as error:
        raise UsageError(f"--since {since!r} {error}") from error


async def _find(ref: str) -> Run:
    async with open_record() as record:
        return await record.find(ref)


def _portrait(run: Run) -> list[str]:
    task = run.task
    facts = [
        ("run", run.id),
        ("state", f"{render.sign(run)} {run.state}  {render.outcome(run)}"),
        ("summary", run.summary.split("\n", 1)[0]),
        ("next", run.action),
        ("prompt", task.prompt.split("\n", 1)[0]),
        ("repository", task.remote or task.repo),
        ("branch", task.branch or ""),
        ("base", run.base_sha or ""),
        ("commit", run.commit or ""),
        ("changes", render.change_numbers(run)),
        ("verdict", "" if run.verdict is None else "; ".join(finding.text for finding in run.verdict.findings) or "fine"),
        ("kept in", run.salvage.directory if run.salvage else ""),
        ("agent", " ".join(part for part in (task.agent, task.model or "", run.manifest.cli_version or "") if part)),
        ("where", f"{task.execution_mode}{' (no isolation)' if task.execution_mode == 'local' else ''}"),
        ("spent", f"${run.cost_usd:.2f} · {run.turns} turns · {run.tokens.input + run.tokens.output + run.tokens.cache} tokens"),
        ("time", render.seconds(run.seconds)),
        ("secrets", "a registered secret was masked in the output: rotate it" if run.secret_seen else ""),
        ("attempts", " ".join(run.attempts) if len(run.attempts) > 1 else ""),
    ]
    steps = [f"  {'✓' if step.ok else '✗'} {step.name:<9}{render.seconds(step.seconds):>7}  {step.detail}".rstrip() for step in run.steps]
    return [f"{name:<11}{value}" for name, value in facts if value] + (["steps", *steps] if steps else [])


def print_logs(ref: str, *, follow: bool, as_json: bool) -> ExitCode:
    """Print a run's transcript; with follow, to its end."""
    return carry_out(_logs(ref, follow=follow, as_json=as_json))


async def _logs(ref: str, *, follow: bool, as_json: bool) -> ExitCode:
    async with open_record() as record:
        run = await record.find(ref)
        async for event in record.follow(run.id, live=follow):
            if as_json:
                tell(to_line(event).decode().rstrip("\n"))
            else:
                for line in render.lines(event):
                    tell(line)
    return ExitCode.OK


def print_diff(ref: str, *, as_json: bool) -> ExitCode:
    """Print a run's patch, as the bytes that git made."""
    run = carry_out(_find(ref))
    patch = patch_of(run, state_dir())
    if patch is None:
        raise UsageError(f"run {run.id} has no changes to show ({run.state})", f"ccterm show {run.id}")
    if as_json:
        changes = run.changes.model_dump(mode="json") if run.changes else None
        tell_json({"run": run.id, "changes": changes, "patch": patch.read_bytes().decode("utf-8", "replace")})
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(patch.read_bytes() if not sys.stdout.isatty() else _for_terminal(patch.read_bytes()))
        sys.stdout.flush()
    return ExitCode.OK


def _for_terminal(patch: bytes) -> bytes:
    """Return a patch that cannot drive the terminal: an agent wrote those bytes."""
    from ccterm.output.sanitise import sanitise

    return sanitise(patch.decode("utf-8", "replace")).encode()
