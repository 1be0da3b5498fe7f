"""What the form says of a branch before its run starts."""

from collections.abc import Sequence
from datetime import date, datetime

from textual.content import Content

from ccterm.draft import Draft
from ccterm.models import BranchState, BranchUse
from ccterm.remotes.branch_names import EACH, branch_for, words_of
from ccterm.render import ago
from ccterm.tui.launch_form import in_form_words

MOST_SHOWN = 6
"""How many branches of a form are listed."""
BranchKey = tuple[tuple[str | None, str | None, str | None, str], ...]
"""What the state of the branches of drafts depends on."""


def branch_key(drafts: Sequence[Draft]) -> BranchKey:
    """Return it."""
    return tuple((draft.repo, draft.branch, draft.base, words_of(draft.task) if EACH in (draft.branch or "") else "") for draft in drafts)


def guessed(draft: Draft, today: date) -> Draft:
    """Return a draft with the name that its branch gets if there is none of that name, for as long as nobody was asked."""
    if EACH not in (draft.branch or ""):
        return draft
    return draft.model_copy(update={"branch": branch_for(draft.branch or "", draft.task, today, lambda _: False)[0]})


def branch_notes(typed: str, states: Sequence[BranchState | None], at: datetime) -> Content:
    """Return the lines below the field: of one branch what it is, of several their names too. typed: what the field holds."""
    known = [state for state in states if state]
    if not known:
        return Content("")
    if len(known) == 1:
        named = "" if typed and EACH not in typed and "..." not in typed else known[0].branch
        note = branch_note(known[0], at)
        return Content.assemble((named, "bold"), " · " if named and note else "", note)
    width = max(len(state.branch) for state in known[:MOST_SHOWN])
    lines = [Content.assemble((f"{state.branch:<{width}}", "bold"), f"  {branch_note(state, at)}") for state in known[:MOST_SHOWN]]
    more = [Content(f"and {len(known) - MOST_SHOWN} more")] if len(known) > MOST_SHOWN else []
    return Content("\n").join([*lines, *more])


def branch_note(state: BranchState, at: datetime) -> str:
    """Return what is known of a branch in a few words; "" where what is wrong concerns another field, below which it stands."""
    if state.unknown:
        return f"the remote could not be asked: {state.unknown}"
    if state.problem:
        return in_form_words(state.problem) if state.concerns == "branch" else ""
    busy = f"; {_run(state.last)} works on it, so this one waits" if state.last and state.last.active and not state.taken else ""
    if state.tip:
        changed = f", last change {ago(state.changed, at)}" if state.changed else f" {state.tip[:10]}"
        by = f" by {_run(state.last)}" if state.last and state.last.pushed_tip and state.changed else ""
        return f"continued from its tip{changed}{by}{busy}"
    start = f"new, from {state.start}" if state.start else "new"
    if state.taken:
        used = f" ({_run(state.last)}, {ago(state.last.at, at)})" if state.last else ""
        return f"{start}; {state.taken} exists{used}"
    return f"{start}{busy}"


def _run(use: BranchUse) -> str:
    return f"run {use.label}"
