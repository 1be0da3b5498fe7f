"""The commands that change something: orders to runs, deliveries, trust."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ccterm import render
from ccterm.causes import ExitCode
from ccterm.cli.console import carry_out, code_for, interruptible, say, state_dir, tell, tell_json, tell_runs
from ccterm.cli.progress import follow_all
from ccterm.daemon import open_service
from ccterm.errors import UsageError
from ccterm.events import Steered
from ccterm.models import Allowances, Run, RunId
from ccterm.service.protocol import Service
from ccterm.settings import Trust, trust_path
from ccterm.workspace.fetch import fetch

STEER_SECONDS = 5.0
"""How long `ccterm steer` waits for the agent's answer."""


def cancel_run(ref: str | None, *, everything: bool, now: bool, as_json: bool) -> ExitCode:
    """Stop one run or all, and wait until they have ended."""
    if (ref is None) != everything:
        raise UsageError("say which run, or --all", "ccterm runs lists them")

    async def work() -> list[Run]:
        async with open_service() as service:
            chosen = [run for run in await service.runs() if not run.state.final] if everything else [await service.find(ref or "")]
            for run in chosen:
                await service.cancel(run.id, now=now)
            return [await service.wait(run.id) for run in chosen]

    _show(carry_out(work()), as_json=as_json)
    return ExitCode.OK


def _show(runs: list[Run], *, as_json: bool) -> None:
    if as_json:
        tell_json([run.document() for run in runs])
    elif runs:
        for line in render.run_rows(runs):
            tell(line)
    else:
        say("nothing is queued or running")


def steer_run(ref: str, text: str, *, as_json: bool) -> ExitCode:
    """Say something to a running agent and tell whether it was taken; an agent that is busy with a tool answers later."""

    async def work() -> Steered | None:
        async with open_service() as service:
            run = await service.find(ref)
            seen = max([event.seq async for event in service.follow(run.id, live=False)], default=-1)
            await service.steer(run.id, text)
            with suppress(TimeoutError):
                async with asyncio.timeout(STEER_SECONDS):
                    async for event in service.follow(run.id, after=seen):
                        if isinstance(event, Steered):
                            return event
        return None

    answer = carry_out(work())
    if as_json:
        tell_json({"taken": answer.taken if answer else None, "detail": answer.detail if answer else ""})
    elif answer is None:
        say("said; the agent takes it up when its running tool ends")
    else:
        say("taken" if answer.taken else f"not taken: {answer.detail or f'the agent has ended; ccterm retry {ref} starts anew'}")
    return ExitCode.OK if answer is None or answer.taken else ExitCode.FAILED


def hold_run(ref: str, *, as_json: bool) -> ExitCode:
    """Let a running agent wait when its turn ends."""
    return _ordered(ref, lambda service, run: service.hold(run), "will wait for a word when its turn ends", as_json=as_json)


def release_run(ref: str, *, as_json: bool) -> ExitCode:
    """Let a waiting agent end."""
    return _ordered(ref, lambda service, run: service.release(run), "no longer waits", as_json=as_json)


def _ordered(ref: str, order: Callable[[Service, RunId], Awaitable[None]], done: str, *, as_json: bool) -> ExitCode:
    async def work() -> RunId:
        async with open_service() as service:
            run = await service.find(ref)
            await order(service, run.id)
            return run.id

    run = carry_out(work())
    if as_json:
        tell_json({"run": run, "ok": True})
    else:
        say(f"run {run} {done}")
    return ExitCode.OK


def retry_run(ref: str, *, as_json: bool) -> ExitCode:
    """Run the same task again, to its end."""

    async def work() -> Run:
        async with open_service() as service:
            fresh = await service.retry((await service.find(ref)).id)
            async with interruptible(service):
                await follow_all(service, [fresh], as_json=as_json)
            return await service.find(fresh.id)

    run = carry_out(work())
    if as_json:
        tell_runs([run])
    else:
        tell(f"{render.sign(run)} {run.id}  {run.task.target}  {render.outcome(run)}")
    return code_for([run])


def allowances(deletions: int | None, lines: int | None, files: int | None, paths: Sequence[str] | None) -> Allowances:
    """Return what flags allow."""
    return Allowances(deletions=deletions, lines=lines, files=files, paths=tuple(paths or ()))


def push_run(ref: str, allow: Allowances, *, as_json: bool) -> ExitCode:
    """Deliver a run's salvaged commit."""
    return _delivered(ref, lambda service, run: service.push(run, allow=allow), as_json=as_json)


def apply_run(ref: str, allow: Allowances, only: Sequence[str], *, as_json: bool) -> ExitCode:
    """Bring a run's kept changes into its working copy."""
    return _delivered(ref, lambda service, run: service.apply(run, allow=allow, only=only), as_json=as_json)


def undo_run(ref: str, *, as_json: bool) -> ExitCode:
    """Put back what a run's changes replaced."""
    return _delivered(ref, lambda service, run: service.undo(run), as_json=as_json)


def _delivered(ref: str, order: Callable[[Service, RunId], Awaitable[Run]], *, as_json: bool) -> ExitCode:
    async def work() -> Run:
        async with open_service() as service:
            return await order(service, (await service.find(ref)).id)

    run = carry_out(work())
    if as_json:
        tell_json(run.document())
    else:
        tell(f"✓ {run.task.target}  {render.outcome(run)}")
    return ExitCode.OK


def fetch_run(ref: str, repo: Path, worktree: Path | None, *, as_json: bool) -> ExitCode:
    """Bring a run's commit into a local repository."""

    async def work() -> Run:
        async with open_service() as service:
            return await service.find(ref)

    run = carry_out(work())
    fetched = fetch(run, state_dir(), repo, worktree)
    if as_json:
        tell_json({"run": run.id, "ref": fetched, "commit": run.commit, "worktree": str(worktree) if worktree else None})
    else:
        tell(fetched)
        say(f"git diff {run.base_sha or '4b825dc6'}..{fetched}" if worktree is None else f"checked out in {worktree}")
    return ExitCode.OK


def trust_directory(path: Path, *, as_json: bool) -> ExitCode:
    """Trust the .ccterm.toml of a working copy as it is now."""
    trusted = trust_path(path, Trust(state_dir().prepare().path))
    if as_json:
        tell_json({"trusted": str(trusted)})
    else:
        say(f"trusted as it is now: {trusted}")
    return ExitCode.OK
