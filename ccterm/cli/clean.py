"""`ccterm clean`: says what is kept of which run and how large it is, asks, and removes it."""

import sys
from collections.abc import Sequence

from ccterm import render
from ccterm.causes import ExitCode
from ccterm.cli.console import carry_out, opened_service, print_data, print_json, print_note, require_one, settled
from ccterm.cli.run_tasks import confirmed
from ccterm.errors import UsageError
from ccterm.models import Run
from ccterm.proof import require_kept, work_kept
from ccterm.service.protocol import Service

_UNITS = ("bytes", "KiB", "MiB", "GiB")


def clean_runs(ref: str | None, *, everything: bool, undelivered: bool, yes: bool, as_json: bool) -> ExitCode:
    """Remove what is kept of one run, or of all whose work was delivered. Work that was not delivered has to be named."""
    require_one(ref, "run", every=everything, flag="--all", fix="ccterm runs lists them")
    if undelivered and not everything:
        raise UsageError("--undelivered belongs to --all", "a run that is named may be undelivered")

    async def work() -> list[Run]:
        async with opened_service() as service:
            chosen = await _chosen(service, ref, undelivered=undelivered)
            if not chosen or not await _agreed(service, chosen, yes=yes):
                return []
            return [await service.clean(run.id) for run in chosen]

    _print_cleaned(carry_out(work()), as_json=as_json)
    return ExitCode.OK


def _print_cleaned(cleaned: Sequence[Run], *, as_json: bool) -> None:
    if as_json:
        print_json([run.document() for run in cleaned])
    elif not cleaned:
        print_note("nothing was removed")
    for run in cleaned if not as_json else ():
        print_data(f"removed what was kept of {run.label}  {run.task.target}")


async def _chosen(service: Service, ref: str | None, *, undelivered: bool) -> list[Run]:
    if ref is not None:
        run = await settled(service, ref)
        if run.state.final:  # else the service says that it has not ended
            require_kept(run)
        return [run]
    kept = [run for run in await service.runs() if run.state.final and (run.salvage or run.kept_in)]
    left = [run for run in kept if work_kept(run) and not undelivered]
    if left:
        print_note(f"{len(left)} with work that was not delivered left alone; --undelivered, or naming a run, removes that too")
    return [run for run in kept if run not in left]


async def _agreed(service: Service, runs: Sequence[Run], *, yes: bool) -> bool:
    """List what would be removed, and ask. Raises UsageError when nobody can be asked."""
    for run in runs:
        delivered = "NOT DELIVERED" if work_kept(run) else "delivered"
        print_note(f"{run.label}  {run.task.target}  {render.outcome(run)}  {_size(await service.kept_bytes(run.id))}  {delivered}")
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("nobody can be asked without a terminal", "add --yes")
    return await confirmed(f"remove what is kept of {len(runs)} run{'' if len(runs) == 1 else 's'}? [y/N] ")


def _size(count: float) -> str:
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return ""
