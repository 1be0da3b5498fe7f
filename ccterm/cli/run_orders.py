"""The commands that change something: orders to runs, deliveries, trust."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from ccterm import render
from ccterm.causes import ExitCode
from ccterm.cli.console import (
    carry_out,
    code_for,
    interruptible,
    opened_service,
    print_data,
    print_json,
    print_note,
    print_runs,
    require_one,
    settled,
    starting_service,
    state_dir,
)
from ccterm.cli.run_tasks import follow_all, print_ended
from ccterm.draft import absolute
from ccterm.errors import UsageError
from ccterm.events import Steered
from ccterm.kept_refs import fetched_as
from ccterm.models import Allowances, Run, RunId
from ccterm.service.protocol import Service
from ccterm.settings import Trust, trust_path
from ccterm.values import Decision, PermissionRequest

_MOST_NAMED = 5
_EMPTY_TREE = "4b825dc6"
"""What a run without a base is compared with: git's name for no files at all."""


def cancel_run(ref: str | None, *, everything: bool, now: bool, as_json: bool) -> ExitCode:
    """Stop one run or all, and wait until they have ended."""
    require_one(ref, "run", every=everything, flag="--all", fix="ccterm runs lists them")

    async def work() -> list[Run]:
        async with opened_service() as service:
            chosen = [run for run in await service.runs() if not run.state.final] if everything else [await service.find(ref or "")]
            for run in chosen:
                await service.cancel(run.id, now=now)
            return [await service.wait(run.id) for run in chosen]

    _print_cancelled(carry_out(work()), as_json=as_json)
    return ExitCode.OK


def _print_cancelled(runs: list[Run], *, as_json: bool) -> None:
    if as_json:
        print_json([run.document() for run in runs])
    elif runs:
        for line in render.run_rows(runs):
            print_data(line)
    else:
        print_note("nothing is queued or running")


def steer_run(ref: str, text: str, *, as_json: bool) -> ExitCode:
    """Send a message to a running agent and print whether it was taken; an agent that is busy with a tool answers later."""

    async def work() -> Steered | None:
        async with opened_service() as service:
            return await service.say(ref, text)

    answer = carry_out(work())
    if as_json:
        print_json({"taken": answer.taken if answer else None, "detail": answer.detail if answer else ""})
    elif answer is None:
        print_note("sent; the agent takes it up when its running tool ends")
    else:
        print_note(
            "taken" if answer.taken else f"not taken: {answer.detail or f'the agent has ended; ccterm continue {ref} TEXT goes on with it'}"
        )
    return ExitCode.OK if answer is None or answer.taken else ExitCode.FAILED


def hold_run(ref: str, *, as_json: bool) -> ExitCode:
    """Make a running agent wait when its turn ends."""
    return _ordered(ref, lambda service, run: service.hold(run), "will wait for input when its turn ends", as_json=as_json)


def release_run(ref: str, *, as_json: bool) -> ExitCode:
    """Let a waiting agent finish."""
    return _ordered(ref, lambda service, run: service.release(run), "no longer waits", as_json=as_json)


def _ordered(ref: str, order: Callable[[Service, RunId], Awaitable[None]], done: str, *, as_json: bool) -> ExitCode:
    async def work() -> Run:
        async with opened_service() as service:
            run = await service.find(ref)
            await order(service, run.id)
            return run

    run = carry_out(work())
    if as_json:
        print_json({"run": run.id, "ok": True})
    else:
        print_note(f"run {run.label} {done}")
    return ExitCode.OK


def decide_run(ref: str, decision: Decision, text: str = "", *, as_json: bool) -> ExitCode:
    """Answer the oldest request for permission of a run, and print which that was."""

    async def work() -> PermissionRequest:
        async with opened_service() as service:
            run = await service.find(ref)
            if not run.permission_requests:
                raise UsageError(f"run {run.label} asks for no permission", f"ccterm show {run.ref} shows its state")
            asked = run.permission_requests[0]
            await service.decide(run.id, asked.id, decision, text)
            return asked

    asked = carry_out(work())
    allowed = {"allow": asked.what, "always": f"{asked.what}; until the run ends also {asked.always}", "deny": asked.what}[decision]
    if as_json:
        print_json({"request": asked.model_dump(mode="json"), "decision": decision})
    else:
        print_note(f"{'refused' if decision == 'deny' else 'allowed'}: {allowed}")
    return ExitCode.OK


def retry_run(ref: str | None, *, refused: bool, as_json: bool) -> ExitCode:
    """Run the same task again, to its end, or all runs whose login was refused."""
    require_one(ref, "run", every=refused, flag="--refused", fix="ccterm runs lists them")
    if ref is not None:
        return _started(ref, lambda service, run: service.retry(run), as_json=as_json)

    async def work() -> list[Run]:
        async with starting_service() as service:
            fresh = [await service.restart(run.id) for run in await service.refused()]
            async with interruptible(service):
                await follow_all(service, fresh, as_json=as_json)
            return [await service.find(run.id) for run in fresh]

    ended = carry_out(work())
    if not ended:
        print_note("Claude refused the login of no run that is still to be started again")
    return code_for(ended, print_runs if as_json else print_ended)


def continue_run(ref: str, text: str, *, branch: str | None, fresh: bool, as_json: bool) -> ExitCode:
    """Go on with a run, to the end of the new one."""
    return _started(ref, lambda service, run: service.continue_(run, text, branch=branch, fresh=fresh), as_json=as_json)


def _started(ref: str, start: Callable[[Service, RunId], Awaitable[Run]], *, as_json: bool) -> ExitCode:
    async def work() -> Run:
        async with starting_service() as service:
            fresh = await start(service, (await settled(service, ref)).id)
            async with interruptible(service):
                await follow_all(service, [fresh], as_json=as_json)
            return await service.find(fresh.id)

    return code_for([carry_out(work())], print_runs if as_json else print_ended)


def push_run(ref: str, allow: Allowances, *, as_json: bool) -> ExitCode:
    """Push a run's salvaged commit."""
    return _delivered(ref, lambda service, run: service.push(run, allow=allow), as_json=as_json)


def apply_run(ref: str, allow: Allowances, only: Sequence[str], *, as_json: bool) -> ExitCode:
    """Bring a run's kept changes into its working copy."""
    return _delivered(ref, lambda service, run: service.apply(run, allow=allow, only=only), as_json=as_json)


def undo_run(ref: str, *, as_json: bool) -> ExitCode:
    """Restore what a run's changes replaced."""
    return _delivered(ref, lambda service, run: service.undo(run), as_json=as_json)


def _delivered(ref: str, order: Callable[[Service, RunId], Awaitable[Run]], *, as_json: bool) -> ExitCode:
    async def work() -> Run:
        async with opened_service() as service:
            return await order(service, (await settled(service, ref)).id)

    run = carry_out(work())
    if as_json:
        print_json(run.document())
    else:
        print_data(f"✓ {run.task.target}  {render.outcome(run)}")
    return ExitCode.OK


def fetch_run(ref: str, repo: Path, worktree: Path | None, *, as_json: bool) -> ExitCode:
    """Bring a run's commit into a local repository."""

    async def work() -> tuple[Run, str, Sequence[str]]:
        async with opened_service() as service:
            run = await settled(service, ref)
            fetched = await service.fetch(run.id, into)
            return run, fetched, await service.check_out(run.id, into, fetched, checked_out) if checked_out else ()

    into, checked_out = absolute(repo), worktree and absolute(worktree)
    run, fetched, obeyed = carry_out(work())
    if as_json:
        found = {"run": run.id, "ref": fetched, "commit": run.commit, "worktree": str(worktree) if worktree else None}
        print_json(found | {"side": [fetched_as(run.id, kept) for kept in run.side], "obeyed": list(obeyed)})
    else:
        for each in dict.fromkeys((fetched, *(fetched_as(run.id, kept) for kept in run.side))):
            print_data(each)
        note = f"git log -p {run.base_sha}..{fetched}" if run.commit is None else f"git diff {run.base_sha or _EMPTY_TREE}..{fetched}"
        print_note(note if worktree is None else f"checked out in {worktree}")
        if obeyed:
            named = ", ".join(obeyed[:_MOST_NAMED]) + (f" and {len(obeyed) - _MOST_NAMED} more" if len(obeyed) > _MOST_NAMED else "")
            print_note(f"your git configuration obeys these files of the work once you use git there, so read them first: {named}")
    return ExitCode.OK


def trust_files(path: Path, *, as_json: bool) -> ExitCode:
    """Trust a batch file, or what of a working copy runs something here or hands something out, as it is now."""
    trusted = trust_path(absolute(path), Trust(state_dir().prepare().path))
    if as_json:
        print_json({"trusted": [str(each) for each in trusted.paths], "refused": list(trusted.reasons)})
        return ExitCode.OK
    for each in trusted.paths:
        print_note(f"trusted as it is now: {each}")
    for reason in trusted.reasons:
        print_note(f"not trusted: {reason}")
    return ExitCode.OK
