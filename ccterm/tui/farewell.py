"""What is said on the shell once the terminal is left: what became of the runs that were active then, and what to do about them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ccterm.errors import CctermError
from ccterm.models import Run, RunId, State
from ccterm.output.own_text import clean_text
from ccterm.proof import is_recovering, work_kept
from ccterm.render import outcome
from ccterm.tui.run_text import short_name

if TYPE_CHECKING:  # importing the service takes long, and the first frame does not need it
    from ccterm.service.protocol import Service

MOST_NAMED = 3
"""How many runs are named in a sentence."""
MOST_LINES = 2
"""As many runs as this that have ended have a line each."""


async def runs_as_left(service: "Service", runs: Iterable[RunId], *, stopped: bool) -> list[Run]:
    """Return the documents of runs as the terminal leaves them. stopped: they have been cancelled, which is waited for.

    Lost runs whose work is still to be kept then are left out: that is the next start's, and takes as long as it takes.
    """
    found = list[Run]()
    for run in runs:
        with suppress(CctermError):  # what cannot be read is not told of
            known = await service.find(run)
            if not stopped:
                found.append(known)
            elif not is_recovering(known):
                found.append(await service.wait(run))
    return found


def farewell(runs: Sequence[Run]) -> str:
    """Return what became of these runs, in a line or two; "" without any."""
    going, ended = ([run for run in runs if run.state.final is final] for final in (False, True))
    return clean_text("\n".join([*_going(going), *_ended(ended)]))


def _going(runs: Sequence[Run]) -> list[str]:
    if not runs:
        return []
    verb, them = ("goes", "it") if len(runs) == 1 else ("go", "them")
    waiting = [run for run in runs if run.waiting_until]
    asked = f"; {_names(waiting)} {'waits' if len(waiting) == 1 else 'wait'} for you" if waiting else ""
    return [f"{_names(runs)} {verb} on in the background{asked}. ccterm shows {them} again."]


def _ended(runs: Sequence[Run]) -> list[str]:
    if len(runs) <= MOST_LINES:
        return [f"{_names([run])}: {outcome(run)}" + (f"; {run.action}" if run.action else "") for run in runs]
    kept = [run for run in runs if work_kept(run)]
    counts = Counter(run.state.value for run in runs)
    ended = (
        "were stopped" if set(counts) == {State.CANCELLED} else f"have ended, {', '.join(f'{n} {state}' for state, n in counts.items())}"
    )
    took = f": the work of {_names(kept)} is kept, ccterm show {kept[0].ref} says how to take it" if kept else ""
    return [f"{len(runs)} runs {ended}{took}. ccterm runs lists them."]


def _names(runs: Sequence[Run]) -> str:
    names = [f"{run.label} {short_name(run)}" for run in runs[:MOST_NAMED]]
    more = [f"{len(runs) - MOST_NAMED} more"] if len(runs) > MOST_NAMED else []
    *first, last = [*names, *more]
    return f"{', '.join(first)} and {last}" if first else last
