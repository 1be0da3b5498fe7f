"""Runs and events as lines of text, the same in `logs`, `show`, `runs` and the progress of `run`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from ccterm.boundaries import host_text, login, network, refused_hosts
from ccterm.causes import KEPT
from ccterm.events import (
    BoxesKept,
    Event,
    Finished,
    Held,
    HoldChanged,
    HostAsked,
    Judged,
    Limited,
    Notice,
    PermissionAnswered,
    PermissionAsked,
    Printed,
    Pushed,
    Retrying,
    Said,
    Salvaged,
    SideKept,
    Started,
    Steered,
    StepFinished,
    StepStarted,
    Synced,
    Told,
    ToolCalled,
    ToolReturned,
    Waiting,
)
from ccterm.kept_refs import kept_sentence, names_of, what_to_do
from ccterm.models import Run, RunId, State, now
from ccterm.proof import work_kept
from ccterm.values import Answer, linked_sentence

SIGNS = {State.QUEUED: "○", State.RUNNING: "●", State.SUCCEEDED: "✓", State.FAILED: "✗", State.CANCELLED: "–"}
RETURNED_LINES = 3
ANSWERS: Mapping[Answer, tuple[str, str]] = {
    "allowed": ("✓", "permission given"),
    "always": ("✓", "permission given until the run ends"),
    "denied": ("!", "permission refused"),
    "expired": ("!", "permission refused: nobody answered"),
    "withdrawn": ("·", "permission no longer needed"),
}
"""What became of a request for permission -> its sign, and how it reads."""


def sign(run: Run) -> str:
    """Return the one-cell symbol of a run's state."""
    if run.state is State.QUEUED and run.held:
        return "‖"
    return "?" if run.waiting_until or run.awaits_apply else "!" if run.cause == "policy" else SIGNS[run.state]


def seconds(value: float | None) -> str:
    """Return a duration as people write it: 12 ms, 0.4 s, 12 s, 4:12, 1:02:03."""
    if value is None:
        return ""
    if value < 0.1:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago something was, in the largest unit: just now, 5 minutes ago, 2 days ago."""
    passed = (now - at).total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if count := int(passed // length):
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def clock(at: datetime | None) -> str:
    """Return a local time of day."""
    return at.astimezone().strftime("%H:%M:%S") if at else ""


def moment(at: datetime) -> str:
    """Return a local date and time of day."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def lines(event: Event) -> list[str]:
    """Return an event as lines of text for people; none when it says nothing new."""
    match event:
        case Said(text=text, agent=agent):
            return [f"[{agent}] {line}" if agent else line for line in text.split("\n")]
        case Printed(text=text):
            return [f"  {line}" for line in text.split("\n")]
        case ToolCalled(name=name, summary=summary, agent=agent):
            return [f"› {f'[{agent}] ' if agent else ''}{name}  {summary}".rstrip()]
        case ToolReturned(ok=ok, text=text):
            return _returned(text, ok=ok)
        case StepFinished(step=step, ok=ok, seconds=took, detail=detail):
            return [f"{'✓' if ok else '✗'} {step} {seconds(took):>{15 - len(step)}}  {detail}".rstrip()]
        case _:
            return _state_lines(event)


def _returned(text: str, *, ok: bool) -> list[str]:
    shown = text.rstrip().split("\n")
    more = [f"    … {len(shown) - RETURNED_LINES} more lines"] if len(shown) > RETURNED_LINES else []
    return [f"  {' ' if ok else '✗'} {line}" for line in shown[:RETURNED_LINES] if line] + more


def _state_lines(event: Event) -> list[str]:
    found: list[str] = []
    match event:
        case Held(reason=reason, turn=turn):
            found = [f"○ queued: {reason}" if turn else f"‖ held: {reason}" if reason else "○ no longer held"]
        case Started():
            found = ["● started"]
        case StepStarted(step="agent"):
            found = ["● agent"]
        case Notice(level=level, text=text):
            found = [f"{'·' if level == 'info' else '!'} {line}" for line in text.split("\n")]
        case Limited(limit=limit, status="rejected", resets_at=resets) if limit != "unknown":
            found = [f"! usage limit {limit} reached" + (f", resets {clock(resets)}" if resets else "")]
        case Retrying(attempt=attempt, of=of, wait=wait, why=why):
            found = [f"… attempt {attempt} of {of} in {wait:.1f} s: {why}"]
        case Steered(text=text, taken=taken, detail=detail):
            found = [f"→ {text}" if taken else f"→ not taken: {text}" + (f" ({detail})" if detail else "")]
        case Judged(verdict=verdict):
            found = [f"! {'refused' if finding.severity == 'refuse' else 'note'}: {finding.text}" for finding in verdict.findings]
    return found or _waiting_lines(event) or _end_lines(event)


def _waiting_lines(event: Event) -> list[str]:
    match event:
        case HostAsked(allowed=False) if event.count == event.more:
            return [f"! {refused(event)}"]
        case Waiting(until=until):
            return [f"? waiting until {clock(until)}" if until else "? no longer waiting"]
        case Told(text=text):
            return [f"○ queued for the agent: {text}"]
        case HoldChanged(on=on):
            return [f"· {hold_words(on=on)}"]
        case PermissionAsked():
            return [f"? {asked(event)}"]
        case PermissionAnswered():
            return [" ".join(answered(event))]
        case _:
            return []


def refused(event: HostAsked, times: int = 1) -> str:
    """Return that a host was refused, and how often."""
    often = f", {times:,} times" if times > 1 else ""
    return f"not reached: {host_text(f'{event.host}:{event.port}')}{often}" + (f" ({event.why})" if event.why else "")


def asked(event: PermissionAsked) -> str:
    """Return what an agent asks permission for, and why it has to."""
    return f"asks permission: {event.tool} {event.summary}".rstrip() + (f" ({event.reason})" if event.reason else "")


def answered(event: PermissionAnswered) -> tuple[str, str]:
    """Return the sign and the words of what became of a request for permission."""
    sign, words = ANSWERS[event.answer]
    return sign, f"{words}: {event.text}" if event.text else words


def hold_words(*, on: bool) -> str:
    """Return that an agent waits for input after its turns from now on, or no longer does."""
    return "waits for input at the end of its turns" if on else "no longer waits for input at the end of its turns"


def _end_lines(event: Event) -> list[str]:
    match event:
        case Pushed(remote=remote, ref=ref, sha=sha):
            return [f"✓ pushed {ref.removeprefix('refs/heads/')} {sha[:8]} to {remote}, verified"]
        case Synced():
            return [f"✓ {event.sentence()}"]
        case Salvaged(directory=directory, checkpoint=at) if at:
            return [f"· work as of {moment(at)} kept in {directory}: the last checkpoint; what the agent did after that is lost"]
        case Salvaged(directory=directory) | BoxesKept(directory=directory) if directory:
            return [f"· work kept in {directory}"]
        case SideKept(refs=refs) if refs:
            return [f"· {kept_sentence(refs)}: {names_of(refs)}"]
        case Finished(state=state, cause=cause, reason=reason, summary=summary):
            why = f" ({cause}{f'/{reason}' if reason else ''})" if cause else ""
            return [f"{SIGNS[state]} {state}{why}: {summary.splitlines()[0] if summary else ''}".rstrip(": ")]
        case _:
            return []


def outcome(run: Run) -> str:
    """Return the state or outcome of a run in a few words."""
    return ", ".join(filter(None, (_outcome(run), denied(run), kept_sentence(run.side), "secret printed" if run.secret_seen else "")))


def _outcome(run: Run) -> str:
    if run.pushed:
        later = "" if run.state is State.SUCCEEDED else " later"
        return f"pushed{later} {run.pushed.sha[:8]}, verified"
    if run.synced:
        done = "applied, then undone" if run.synced.undone else "applied"
        return f"{run.synced.files} file{'' if run.synced.files == 1 else 's'} {done}{linked_sentence(run.synced.linked)}"
    if run.state is State.SUCCEEDED:
        return "waiting for approval" if run.awaits_apply else "work kept" if run.reason == KEPT and work_kept(run) else "nothing to push"
    if run.state is State.FAILED:
        return f"{run.cause}{f'/{run.reason}' if run.reason else ''}" + (", work kept" if work_kept(run) else "")
    if run.state is State.QUEUED and run.held:
        return f"held: {run.held}"
    if run.waiting_until and not run.state.final:
        return f"asks permission: {run.permission_requests[0].what}" if run.permission_requests else "waiting for input"
    return f"{run.state}{', work kept' if work_kept(run) else ''}"


def denied(run: Run) -> str:
    """Return how much the agent was not allowed to do, or ""."""
    return f"{len(run.denied)} denied" if run.denied else ""


def rotation(run: Run) -> str:
    """Return the advice about secrets that a run's programs printed, or ""."""
    if not run.secret_seen:
        return ""
    names = ", ".join(run.secrets_seen) or "a registered secret"
    return f"rotate {names}: printed by this run, and masked wherever ccterm shows or keeps output"


def kept_in(run: Run) -> str:
    """Return where a run's work is kept, or ""."""
    return run.salvage.directory if run.salvage else run.kept_in or ""


def dollars(run: Run) -> str:
    """Return what a run has cost: $0.31, or ≈$0.42 with what came after the last result; "" while no result has told of it."""
    if run.about_usd is not None:
        return f"≈${run.about_usd:.2f}"
    used = run.tokens.input + run.tokens.output + run.tokens.cache
    return "" if used and not run.cost_usd else f"${run.cost_usd:.2f}"


def spent(*runs: Run) -> str:
    """Return what a run has used, or several together: $0.31 · 18 turns · 212k tokens."""
    used = sum(run.tokens.input + run.tokens.output + run.tokens.cache for run in runs)
    count = sum(run.turns for run in runs)
    cost = dollars(runs[0]) if len(runs) == 1 else f"${sum(run.cost_usd for run in runs):.2f}"
    throttled = sum(run.throttled for run in runs)
    waits = f"told to wait {throttled} time{'' if throttled == 1 else 's'} (429)" if throttled else ""
    return " · ".join(filter(None, (cost, f"{count} turn{'' if count == 1 else 's'}", f"{tokens(used)} tokens", waits)))


def tokens(count: int) -> str:
    """Return a number of tokens as people read it: 940, 12k, 1.3M."""
    if count < 1000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"


def took(run: Run) -> float | None:
    """Return how many seconds a run took, or has been running; None before it has started."""
    if run.state.final or run.started is None:
        return run.seconds
    return max(0.0, (now() - run.started).total_seconds())


def change_numbers(run: Run) -> str:
    """Return how much a run changed: 3 files +340 -41."""
    if run.changes is None:
        return ""
    return f"{run.changes.files} file{'' if run.changes.files == 1 else 's'} +{run.changes.added} -{run.changes.removed}"


def run_facts(run: Run, called: Mapping[RunId, str] = MappingProxyType({})) -> list[str]:
    """Return everything about one run, one fact per line, and its steps. called: the labels of its earlier attempts."""
    task = run.task
    facts = [
        ("run", run.label if run.number is None else f"{run.label}  {run.id}"),
        ("state", f"{sign(run)} {run.state}  {outcome(run)}"),
        ("summary", run.summary.split("\n", 1)[0]),
        ("next", run.action),
        ("prompt", task.prompt.split("\n", 1)[0]),
        ("repository", task.remote or task.repo),
        ("branch", task.branch or ""),
        ("base", run.base_sha or ""),
        ("commit", run.commit or ""),
        ("changes", change_numbers(run)),
        ("verdict", "" if run.verdict is None else "; ".join(finding.text for finding in run.verdict.findings) or "fine"),
        ("kept in", kept_in(run)),
        ("kept as", f"the checkpoint from {moment(run.salvage.checkpoint)}" if run.salvage and run.salvage.checkpoint else ""),
        ("beside", f"{kept_sentence(run.side)}: {names_of(run.side)}; {what_to_do(run.ref, run.id)}" if run.side else ""),
        (
            "agent",
            " ".join(filter(None, ("a shell in place of" if task.terminal else "", task.agent, task.model, run.manifest.cli_version))),
        ),
        ("where", f"{task.execution_mode}{' (no isolation)' if task.execution_mode == 'local' else ''}"),
        ("network", network(task)),
        ("refused", refused_hosts(run)),
        ("allowed", ", ".join(map(host_text, run.allowed_hosts))),
        ("login", login(task)),
        ("spent", spent(run)),
        ("limits", ", ".join(f"{each.limit} {each.utilization:.0%}" for each in run.usage_windows if each.utilization is not None)),
        ("time", seconds(took(run))),
        ("denied", "; ".join(run.denied)),
        ("secrets", rotation(run)),
        ("continues", called.get(run.continues, run.continues) if run.continues else ""),
        ("attempts", " ".join(called.get(each, each) for each in run.attempts) if len(run.attempts) > 1 else ""),
    ]
    steps = [
        f"  {'✓' if step.ok else '✗'} {step.name} {seconds(step.seconds):>{15 - len(step.name)}}  {step.detail}".rstrip()
        for step in run.steps
    ]
    return [f"{name:<11}{value}" for name, value in facts if value] + (["steps", *steps] if steps else [])


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = (), right: frozenset[int] = frozenset()) -> list[str]:
    """Return rows as aligned columns. right: the numbers of the right-aligned ones."""
    everything = [list(head), *map(list, rows)] if head else [list(row) for row in rows]
    widths = [max(len(row[i]) for row in everything) for i in range(len(everything[0]))] if everything else []
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in everything
    ]


def run_rows(runs: Sequence[Run]) -> list[str]:
    """Return runs as a table."""
    rows = [
        [
            sign(run),
            run.label,
            run.task.target,
            outcome(run),
            change_numbers(run),
            seconds(took(run)),
            dollars(run),
            _age(run),
        ]
        for run in runs
    ]
    return table(rows, ["", "RUN", "BRANCH", "OUTCOME", "CHANGES", "TIME", "COST", "WHEN"], frozenset({1, 5, 6}))


def _age(run: Run) -> str:
    return run.created.astimezone().strftime("%Y-%m-%d %H:%M")
