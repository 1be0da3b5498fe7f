"""What a pane says of each event: lines of inked text, as long as they are. Pure; knows no width, no terminal and no widget."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from pydantic import JsonValue

from ccterm import events
from ccterm.events import Event
from ccterm.models import Changes, State
from ccterm.render import seconds
from ccterm.tui.pane.cells import safe, safe_lines
from ccterm.tui.pane.spans import Ink, Line, Mark, Span

FOLDED = 3
"""Lines of a tool's answer that are shown before it is unfolded."""
_ACKNOWLEDGED = re.compile(r"File created successfully at: .+|The file .+ has been updated(?: successfully)?\.?")
"""What a tool answers when it did as it was told, and no more: the call's mark says that."""
_INDENT = re.compile(r"\s*(?:(?:[-*+•]|\d+[.)])\s+)?")


def lines(event: Event, *, unfolded: bool = False, mark: Mark | None = None) -> list[Line]:
    """Return an event as lines for a person; none when there is nothing to say.

    unfolded: a tool's whole answer, and a call's input. mark: how a tool call stands.
    """
    if _is_silent(event):
        return []
    match event:
        case events.Said(text=text, agent=agent):
            return _said(text, agent)
        case events.Typing(text=text):
            return _typed(text)
        case events.Printed(text=text):
            return [Line((Span("  " + line, Ink.DIM),), hang=2, words=False) for line in safe_lines(text)]
        case events.ToolCalled():
            return _called(event, mark or Mark.OPEN, unfolded=unfolded)
        case events.ToolReturned(text=text, ok=ok):
            return _returned(text, Ink.DIM if ok else Ink.BAD, unfolded=unfolded)
        case events.Judged():
            return _judged(event)
        case _:
            return list(_signed(*state(event)))


def foldable(event: Event) -> bool:
    """Whether there is more to an event than is shown at first."""
    match event:
        case events.ToolReturned(text=text):
            return len(safe_lines(text)) > FOLDED
        case events.ToolCalled(input=given):
            return bool(given)
        case _:
            return False


def _is_silent(event: Event) -> bool:
    """Whether an event says only what another one has said already."""
    match event:
        case events.StepFinished(step="policy"):  # the judgement
            return True
        case events.ToolReturned(ok=True, text=text):
            return _ACKNOWLEDGED.fullmatch(text.strip()) is not None
        case _:
            return False


def failed(event: Event) -> bool:
    """Whether an event tells of something that went wrong."""
    if _is_silent(event):
        return False
    match event:
        case events.ToolReturned(ok=ok) | events.StepFinished(ok=ok):
            return not ok
        case events.Notice(level=level):
            return level == "error"
        case events.Limited(status=status):
            return status == "rejected"
        case events.Judged(verdict=verdict):
            return not verdict.ok
        case events.Finished(state=state):
            return state is State.FAILED
        case _:
            return False


def words(event: Event) -> str:
    """Return all that an event says, unfolded, as plain text: what is copied and searched."""
    return "\n".join(line.text for line in lines(event, unfolded=True)) if not _is_plain(event) or _is_silent(event) else _plain(event)


def _is_plain(event: Event) -> bool:
    return isinstance(event, events.Said | events.Printed | events.ToolReturned)


def _plain(event: Event) -> str:
    """Return a text without the indents that are only ours."""
    match event:
        case events.Said(text=text) | events.Printed(text=text) | events.ToolReturned(text=text):
            return "\n".join(safe_lines(text))
        case _:
            return ""


def _said(text: str, agent: str) -> list[Line]:
    who = (Span(f"[{safe(agent)}] ", Ink.ACCENT),) if agent else ()
    return [
        Line((*(who if n == 0 else ()), Span(line, Ink.STRONG if line.startswith("#") else Ink.TEXT)), hang=_hang(line))
        for n, line in enumerate(safe_lines(text))
    ]


def _hang(line: str) -> int:
    found = _INDENT.match(line)
    return found.end() if found else 0


def _typed(text: str) -> list[Line]:
    typed = safe_lines(text)
    return [Line((Span(line),), hang=_hang(line)) for line in typed[:-1]] + [Line((Span(typed[-1]), Span("▌", Ink.ACCENT)))]


def _called(call: events.ToolCalled, mark: Mark, *, unfolded: bool) -> list[Line]:
    who = f"[{safe(call.agent)}] " if call.agent else ""
    ink = {Mark.GOOD: Ink.GOOD, Mark.BAD: Ink.BAD, Mark.OPEN: Ink.DIM}[mark]
    spans = (Span("› " + who, Ink.ACCENT), Span(safe(call.name), Ink.STRONG), Span("  " + safe(call.summary), Ink.TEXT))
    first = Line(spans, single=not unfolded, hang=2, mark=Span(mark, ink))
    return [first, *(_input(call.input) if unfolded else ())]


def _input(given: dict[str, JsonValue]) -> Iterator[Line]:
    for key, value in given.items():
        text = value if isinstance(value, str) else str(value)
        first, *rest = safe_lines(f"{key}: {text}")
        yield Line((Span(f"    {first}", Ink.DIM),), hang=6)
        for line in rest:
            yield Line((Span(f"      {line}", Ink.DIM),), hang=6, words=False)


def _returned(text: str, ink: Ink, *, unfolded: bool) -> list[Line]:
    all_lines = safe_lines(text)
    if all_lines == [""]:
        return []
    shown = all_lines if unfolded else all_lines[:FOLDED]
    body = [Line((Span("  " + line, ink),), hang=2, words=False, single=not unfolded) for line in shown]
    more = len(all_lines) - len(shown)
    return [*body, Line((Span(f"  … {more} more", Ink.ACCENT),), single=True)] if more else body


def _judged(event: events.Judged) -> list[Line]:
    verdict = event.verdict
    sign, ink = ("✓", Ink.GOOD) if verdict.ok else ("!", Ink.BAD)
    said = f"policy: {'fine' if verdict.ok else 'refused'}, {changed(event.changes)}"
    found = list(_signed(sign, said, ink))
    for finding in verdict.findings:
        found += _signed("!", finding.text, Ink.BAD if finding.severity == "refuse" else Ink.WARN)
        found += [Line((Span(f"    {safe(path)}", Ink.DIM),), single=True) for path in _some(finding.paths)]
    return found


def _some(paths: Sequence[str]) -> Sequence[str]:
    return paths if len(paths) <= FOLDED else [*paths[:FOLDED], f"… {len(paths) - FOLDED} more"]


def _signed(sign: str, text: str, ink: Ink) -> Iterator[Line]:
    """Yield a text with a sign in front of its first line."""
    if not sign:
        return
    first, *rest = safe_lines(text)
    yield Line((Span(f"{sign} {first}", ink),), hang=2)
    for line in rest:
        yield Line((Span(f"  {line}", ink),), hang=2)


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
        case events.Pushed(remote=remote, ref=ref, sha=sha, verified=verified):
            return "✓", f"pushed {ref.removeprefix('refs/heads/')} {sha[:8]} to {remote}{', verified' if verified else ''}", Ink.GOOD
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
