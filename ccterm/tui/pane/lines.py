"""What a pane shows of each event, as lines of styled text; pure. Knows no width, no terminal and no widget."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from ccterm import events
from ccterm.events import Event
from ccterm.models import State
from ccterm.render import answered, hold_words, refused, seconds
from ccterm.tui.pane.cells import safe, safe_lines
from ccterm.tui.pane.markdown import Colour, hanging, markdown
from ccterm.tui.pane.spans import CallStatus, Span, TextLine, TextStyle
from ccterm.values import NO_ISOLATION, NOT_PASSED_ON

ASKED = 12
"""Lines of a command that are shown when the agent asks permission for it."""
FOLDED = 3
"""Lines of a tool's result that are shown before it is unfolded."""
_ACKNOWLEDGED = re.compile(r"File created successfully at: .+|The file .+ has been updated(?: successfully)?\.?")
"""Results that only confirm the call: its sign says that already."""


@dataclass(frozen=True)
class LineOptions:
    """How an event is shown, apart from its width."""

    unfolded: bool = False
    """Show a tool's whole result, and a call's input."""
    outcome: CallStatus | int | None = None
    """How the tool call ended, or how often the host was refused by now."""
    colour: Colour | None = None
    """Show what the agent says as Markdown, its code coloured by this; None = as it was written."""
    inside: str | None = None
    """The language of the code block that the text begins in; None = it does not."""
    told: bool = False
    """Why the run ended was said just before: only how it did is shown."""


def lines(event: Event, options: LineOptions = LineOptions()) -> list[TextLine]:
    """Return an event as lines for a person; none when it says nothing."""
    if _is_silent(event):
        return []
    match event:
        case events.Said(text=text, agent=agent):
            return _said(text, agent, options)
        case events.Typing(text=text):
            return _typed(text)
        case events.Printed(text=text):
            return [TextLine((Span("  " + line, TextStyle.DIM),), hang=2, words=False) for line in safe_lines(text)]
        case events.ToolCalled():
            status = options.outcome if isinstance(options.outcome, CallStatus) else CallStatus.OPEN
            return _called(event, status, unfolded=options.unfolded)
        case events.HostAsked(count=count):
            times = options.outcome if isinstance(options.outcome, int) else count
            return list(_signed("!", refused(event, times), TextStyle.WARN))
        case events.ToolReturned(text=text, ok=ok):
            return _returned(text, TextStyle.DIM if ok else TextStyle.BAD, unfolded=options.unfolded)
        case _:
            return _of_several_parts(event, options) or list(_signed(*state(event)))


def foldable(event: Event) -> bool:
    """Whether an event has more than is shown at first."""
    match event:
        case events.ToolReturned(text=text):
            return len(safe_lines(text)) > FOLDED
        case events.ToolCalled(input=given):
            return bool(given)
        case _:
            return False


def _is_silent(event: Event) -> bool:
    """Whether an event only repeats what another one says, or the header."""
    match event:
        case events.StepFinished(step="policy") | events.StepFinished(step="push" | "apply", ok=True):  # what comes of it says more
            return True
        case events.HostAsked(allowed=allowed, count=count, more=more):  # the first refusal of a host has the count of all
            return allowed or count != more
        case events.Notice(level="info", text=text):
            return text == NO_ISOLATION or text.startswith(NOT_PASSED_ON)
        case events.ToolReturned(ok=True, text=text):
            return _ACKNOWLEDGED.fullmatch(text.strip()) is not None
        case _:
            return False


def failed(event: Event) -> bool:
    """Whether an event reports a failure."""
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


def plain_text(event: Event) -> str:
    """Return all that an event says, unfolded, as plain text: for copying and searching."""
    match event:
        case events.Said(text=text) | events.Printed(text=text) | events.ToolReturned(text=text) if not _is_silent(event):
            return "\n".join(safe_lines(text))  # without the indents that a pane adds
        case _:
            return "\n".join(line.text for line in lines(event, LineOptions(unfolded=True)))


def _said(text: str, agent: str, options: LineOptions) -> list[TextLine]:
    said = safe_lines(text)
    colour = options.colour
    shown = markdown(said, colour, inside=options.inside) if colour else [TextLine((Span(line),), hang=hanging(line)) for line in said]
    if agent:
        shown[0] = shown[0]._replace(spans=(Span(f"[{safe(agent)}] ", TextStyle.ACCENT), *shown[0].spans))
    return shown


def _typed(text: str) -> list[TextLine]:
    typed = safe_lines(text)
    return [TextLine((Span(line),), hang=hanging(line)) for line in typed[:-1]] + [TextLine((Span(typed[-1]), Span("▌", TextStyle.ACCENT)))]


def _called(call: events.ToolCalled, status: CallStatus, *, unfolded: bool) -> list[TextLine]:
    who = f"[{safe(call.agent)}] " if call.agent else ""
    style = {CallStatus.GOOD: TextStyle.GOOD, CallStatus.BAD: TextStyle.BAD, CallStatus.OPEN: TextStyle.DIM}[status]
    spans = (Span("› " + who, TextStyle.ACCENT), Span(safe(call.name), TextStyle.STRONG), Span("  " + safe(call.summary), TextStyle.TEXT))
    first = TextLine(spans, single=not unfolded, hang=2, mark=Span(status, style))
    return [first, *(_input(call.input) if unfolded else ())]


def _input(given: dict[str, JsonValue]) -> Iterator[TextLine]:
    for key, value in given.items():
        text = value if isinstance(value, str) else str(value)
        first, *rest = safe_lines(f"{key}: {text}")
        yield TextLine((Span(f"    {first}", TextStyle.DIM),), hang=6)
        for line in rest:
            yield TextLine((Span(f"      {line}", TextStyle.DIM),), hang=6, words=False)


def _returned(text: str, style: TextStyle, *, unfolded: bool) -> list[TextLine]:
    all_lines = safe_lines(text)
    if all_lines == [""]:
        return []
    shown = all_lines if unfolded else all_lines[:FOLDED]
    body = [TextLine((Span("  " + line, style),), hang=2, words=False, single=not unfolded) for line in shown]
    more = len(all_lines) - len(shown)
    return [*body, TextLine((Span(f"  … {more} more", TextStyle.ACCENT),), single=True)] if more else body


def _of_several_parts(event: Event, options: LineOptions) -> list[TextLine]:
    match event:
        case events.Finished() if options.told:
            return list(_signed(*_finished(event, with_summary=False)))
        case events.PermissionAsked():
            return _asked(event)
        case events.Judged():
            return _judged(event)
        case _:
            return []


def _asked(event: events.PermissionAsked) -> list[TextLine]:
    """Return a request for permission with all that would be done, and not its first line alone."""
    command = event.input.get("command")
    wanted = safe_lines(command) if isinstance(command, str) else safe_lines(event.summary)
    shown = wanted[:ASKED]
    more = [f"… {len(wanted) - ASKED} more lines: unfold the call above"] if len(wanted) > ASKED else []
    first = TextLine((Span(f"? asks permission: {safe(event.tool)}", TextStyle.WARN),), hang=2)
    body = [TextLine((Span(f"  {line}", TextStyle.STRONG),), hang=4, words=False) for line in shown]
    reason = [TextLine((Span(f"  {safe(line)}", TextStyle.DIM),), hang=2) for line in (*more, event.reason) if line]
    return [first, *body, *reason]


def _judged(event: events.Judged) -> list[TextLine]:
    verdict = event.verdict
    sign, style = ("✓", TextStyle.GOOD) if verdict.ok else ("!", TextStyle.BAD)
    found = list(_signed(sign, f"policy: {'fine' if verdict.ok else 'refused'}", style))
    for finding in verdict.findings:
        found += _signed("!", finding.text, TextStyle.BAD if finding.severity == "refuse" else TextStyle.WARN)
        found += [TextLine((Span(f"    {safe(path)}", TextStyle.DIM),), single=True) for path in _some(finding.paths)]
    return found


def _some(paths: Sequence[str]) -> Sequence[str]:
    return paths if len(paths) <= FOLDED else [*paths[:FOLDED], f"… {len(paths) - FOLDED} more"]


def _signed(sign: str, text: str, style: TextStyle) -> Iterator[TextLine]:
    """Yield a text with a sign before its first line."""
    if not sign:
        return
    first, *rest = safe_lines(text)
    yield TextLine((Span(f"{sign} {first}", style),), hang=2)
    for line in rest:
        yield TextLine((Span(f"  {line}", style),), hang=2)


Signed = tuple[str, str, TextStyle]
SILENT: Signed = ("", "", TextStyle.DIM)
_SIGNS = {State.SUCCEEDED: "✓", State.FAILED: "✗", State.CANCELLED: "–"}


def state(event: Event) -> Signed:
    """Return an event about the run itself as sign, words and style; SILENT when it says nothing to a person."""
    match event:
        case events.Queued(prompt=prompt):
            return ("»", prompt, TextStyle.ACCENT) if prompt else SILENT
        case events.Held(reason=reason, turn=True):
            return ("○", f"queued: {reason}", TextStyle.DIM)
        case events.Held(reason=reason):
            return ("‖", f"held: {reason}", TextStyle.WARN) if reason else ("○", "no longer held", TextStyle.DIM)
        case events.StepStarted(step=step):
            return "●", step, TextStyle.DIM
        case events.StepFinished(step=step, ok=ok, seconds=took, detail=detail):
            return (
                "✓" if ok else "✗",
                f"{step} {seconds(took):>{14 - len(step)}}  {detail}".rstrip(),
                TextStyle.DIM if ok else TextStyle.BAD,
            )
        case events.Thought(tokens=tokens):
            return "∴", f"thinking, {tokens:,} tokens" if tokens else "thinking", TextStyle.DIM
        case events.Notice(level=level, text=text):
            return {"info": ("·", text, TextStyle.DIM), "warn": ("!", text, TextStyle.WARN), "error": ("✗", text, TextStyle.BAD)}[level]
        case _:
            return _service(event)


def _service(event: Event) -> Signed:
    match event:
        case events.Limited(status="rejected"):
            return "!", f"{_window(event)} is used up{_resets(event)}", TextStyle.BAD
        case events.Limited(status="allowed_warning", utilization=used):
            share = f" is {used * 100:.0f} % used" if used is not None else " is nearly used up"
            return "!", f"{_window(event)}{share}{_resets(event)}", TextStyle.WARN
        case events.Retrying(attempt=attempt, of=of, wait=wait, why=why):
            return "…", f"try {attempt} of {of} in {seconds(wait)}: {why}", TextStyle.WARN
        case _:
            return _talk(event)


def _talk(event: Event) -> Signed:
    match event:
        case events.Told(text=text):
            return "○", f"queued for the agent: {text}", TextStyle.DIM
        case events.HoldChanged(on=on):
            return "·", hold_words(on=on), TextStyle.DIM
        case events.Steered(text=text, taken=taken, detail=detail):
            return (
                ("→", text, TextStyle.ACCENT)
                if taken
                else ("→", f"not delivered: {text}" + (f" ({detail})" if detail else ""), TextStyle.WARN)
            )
        case events.PermissionAnswered(answer=answer):
            good = answer in ("allowed", "always")
            return *answered(event), TextStyle.GOOD if good else TextStyle.DIM if answer == "withdrawn" else TextStyle.WARN
        case events.Waiting(until=until):
            return ("?", f"waiting for input until {clock(until)}", TextStyle.WARN) if until else ("?", "no longer waiting", TextStyle.DIM)
        case _:
            return _end(event)


def _window(event: events.Limited) -> str:
    return {"five_hour": "the 5-hour window", "seven_day": "the 7-day window"}.get(event.limit, f"the usage window {event.limit}")


def _resets(event: events.Limited) -> str:
    return f", resets {clock(event.resets_at)}" if event.resets_at else ""


def _end(event: Event) -> Signed:
    match event:
        case events.Pushed(ref=ref, sha=sha, verified=verified):
            return "✓", f"pushed {sha[:8]} to {ref.removeprefix('refs/heads/')}{', verified' if verified else ''}", TextStyle.GOOD
        case events.Synced():
            return "✓", event.sentence(), TextStyle.GOOD
        case events.Salvaged(directory=directory) | events.BoxesKept(directory=directory) if directory:
            return "·", "work kept", TextStyle.WARN
        case events.Finished():
            return _finished(event, with_summary=True)
        case _:
            return SILENT


def _finished(event: events.Finished, *, with_summary: bool) -> Signed:
    why = f" ({event.cause}{f'/{event.reason}' if event.reason else ''})" if event.cause else ""
    said = f": {event.summary.splitlines()[0]}" if event.summary and with_summary else ""
    style = {State.SUCCEEDED: TextStyle.GOOD, State.FAILED: TextStyle.BAD}.get(event.state, TextStyle.WARN)
    return _SIGNS.get(event.state, "·"), f"{event.state}{why}{said}", style


def repeats(end: events.Finished, earlier: Event) -> bool:
    """Whether the end of a run says again why it ended, or what the agent said last, after an earlier event has said so."""
    summary = end.summary.split("\n", 1)[0].rstrip("…")
    match earlier:
        case events.Said(text=text) | events.Notice(text=text):
            return bool(summary) and summary in text
        case events.Judged(verdict=verdict):
            return any(finding.severity == "refuse" and finding.text in summary for finding in verdict.findings)
        case events.StepFinished(ok=False, detail=detail):
            return bool(detail) and detail in summary
        case _:
            return False


def clock(at: datetime) -> str:
    """Return a local time of day."""
    return at.astimezone().strftime("%H:%M")
