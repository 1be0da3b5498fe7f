"""How a run goes on, in words: a sign of one cell, a sentence and an ink for each event that is not the agent's own."""

from datetime import datetime

from ccterm import events
from ccterm.events import Event
from ccterm.models import Changes, State
from ccterm.render import seconds
from ccterm.tui.pane.inks import Ink

Stated = tuple[str, str, Ink]
SILENT: Stated = ("", "", Ink.DIM)
_SIGNS = {State.SUCCEEDED: "✓", State.FAILED: "✗", State.CANCELLED: "–"}


def changed(changes: Changes) -> str:
    """Return what a commit changes, in numbers: 3 files +340 -41."""
    return f"{changes.files} file{'' if changes.files == 1 else 's'} +{changes.added} -{changes.removed}"


def state(event: Event) -> Stated:
    """Return an event that tells how the run goes on as sign, words and ink; SILENT when it says nothing to a person."""
    match event:
        case events.Queued(prompt=prompt):
            return ("»", prompt, Ink.ACCENT) if prompt else SILENT
        case events.Held(reason=reason):
            return ("‖", f"held: {reason}", Ink.WARN) if reason else ("○", "no longer held", Ink.DIM)
        case events.StepStarted(step=step):
            return "●", step, Ink.DIM
        case events.StepFinished(step=step, ok=ok, seconds=took, detail=detail):
            return "✓" if ok else "✗", f"{step:<8} {seconds(took):>6}  {detail}".rstrip(), Ink.DIM if ok else Ink.BAD
        case events.Thought(tokens=tokens):
            return "∴", f"thinking, {tokens:,} tokens" if tokens else "thinking", Ink.DIM
        case events.Notice(level=level, text=text):
            return {"info": ("·", text, Ink.DIM), "warn": ("!", text, Ink.WARN), "error": ("✗", text, Ink.BAD)}[level]
        case _:
            return _service(event)


def _service(event: Event) -> Stated:
    match event:
        case events.Limited(status="rejected"):
            return "!", f"{_window(event)} is used up{_resets(event)}", Ink.BAD
        case events.Limited(status="allowed_warning", utilization=used):
            share = f" is {used * 100:.0f} % used" if used is not None else " is nearly used up"
            return "!", f"{_window(event)}{share}{_resets(event)}", Ink.WARN
        case events.Retrying(attempt=attempt, of=of, wait=wait, why=why):
            return "…", f"try {attempt} of {of} in {seconds(wait)}: {why}", Ink.WARN
        case events.Steered(text=text, taken=taken, detail=detail):
            return ("→", text, Ink.ACCENT) if taken else ("→", f"not taken: {text}" + (f" ({detail})" if detail else ""), Ink.WARN)
        case events.Waiting(until=until):
            return ("?", f"waits for a word until {clock(until)}", Ink.WARN) if until else ("?", "waits no more", Ink.DIM)
        case _:
            return _end(event)


def _window(event: events.Limited) -> str:
    return {"five_hour": "the 5-hour window", "seven_day": "the 7-day window"}.get(event.limit, f"the usage window {event.limit}")


def _resets(event: events.Limited) -> str:
    return f", resets {clock(event.resets_at)}" if event.resets_at else ""


def _end(event: Event) -> Stated:
    match event:
        case events.Published(remote=remote, ref=ref, sha=sha, proven=proven):
            return "✓", f"pushed {ref.removeprefix('refs/heads/')} {sha[:8]} to {remote}{', proven' if proven else ''}", Ink.GOOD
        case events.Synced(files=files):
            return "✓", f"{files} file{'' if files == 1 else 's'} changed in the working copy", Ink.GOOD
        case events.Salvaged(directory=directory):
            return "·", f"work kept in {directory}", Ink.WARN
        case events.Finished(state=state, cause=cause, reason=reason, summary=summary):
            why = f" ({cause}{f'/{reason}' if reason else ''})" if cause else ""
            said = f": {summary.splitlines()[0]}" if summary else ""
            ink = {State.SUCCEEDED: Ink.GOOD, State.FAILED: Ink.BAD}.get(state, Ink.WARN)
            return _SIGNS.get(state, "·"), f"{state}{why}{said}", ink
        case _:
            return SILENT


def clock(at: datetime) -> str:
    """Return a local time of day."""
    return at.astimezone().strftime("%H:%M")
