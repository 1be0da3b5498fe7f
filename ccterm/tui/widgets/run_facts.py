"""What is known of a run besides its transcript: status, steps with their times, verdict, numbers, what to do next."""

from datetime import datetime

from textual.content import Content
from textual.widgets import Static

from ccterm.boundaries import login, network_of, where
from ccterm.models import Run
from ccterm.render import change_numbers, kept_in, rotation, seconds, spent
from ccterm.tui.run_text import elapsed, status, styled_sign
from ccterm.tui.run_view import RunView
from ccterm.values import NOT_PASSED_ON, StepRecord

WIDTH = 44
"""Cells of a line; longer lines are wrapped, but steps are cut."""
SUMMARY_LINES = 12


class RunFacts(Static):
    """The facts of a run, one below the other."""

    DEFAULT_CSS = """
    RunFacts { width: 1fr; height: auto; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)

    def show(self, view: RunView, at: datetime) -> None:
        """Show what is known now."""
        self.update(facts(view, at))


def facts(view: RunView, at: datetime) -> Content:
    """Return all facts as lines."""
    run = view.run
    lines: list[Content] = [Content.assemble(styled_sign(run), " ", (status(view), "bold"), f"  {elapsed(view, at)}")]
    lines += [_step(step) for step in run.steps]
    if view.step and view.step not in [step.name for step in run.steps[-1:]]:
        lines.append(Content.assemble(("● ", "$text-primary"), f"{view.step:<9} ", (view.activity, "dim")))
    lines += [Content(""), Content(spent(run))]
    lines += [_fact("thread", f"{len(view.thread)} runs · {spent(*view.thread)}")] if view.before else []
    lines += [_fact(name, text) for name, text in _facts(run) if text]
    if run.verdict:
        lines += [Content("")] if run.verdict.findings else []
        lines += [
            Content.styled(f"policy: {finding.text}", "$text-error" if finding.severity == "refuse" else "$text-warning")
            for finding in run.verdict.findings
        ]
    if run.summary and not (run.verdict and any(run.summary == finding.text for finding in run.verdict.findings)):
        lines += [Content(""), *(Content(line) for line in run.summary.strip().split("\n")[:SUMMARY_LINES])]
    if run.action:
        lines += [Content(""), Content.styled(run.action, "$text-accent")]
    return Content("\n").join(lines)


def _step(step: StepRecord) -> Content:
    sign = ("✓ ", "$text-success") if step.ok else ("✗ ", "bold $text-error")
    return Content.assemble(sign, f"{step.name} {seconds(step.seconds):>{15 - len(step.name)}}  ", (step.detail, "dim")).truncate(
        WIDTH, ellipsis=True
    )


def _facts(run: Run) -> list[tuple[str, str]]:
    task = run.task
    return [
        ("changes", change_numbers(run)),
        ("commit", (run.commit or "")[:12]),
        ("kept in", kept_in(run)),
        ("remote", task.remote or task.repo),
        ("base", (run.base_sha or "")[:12]),
        ("agent", " ".join(part for part in (task.agent, task.model or "", run.manifest.cli_version or "") if part)),
        ("where", where(task)),
        ("env", next((f"not passed on: {note.removeprefix(NOT_PASSED_ON)}" for note in task.notes if note.startswith(NOT_PASSED_ON)), "")),
        ("network", network_of(run)),
        ("login", login(task)),
        ("hold", "waits for input after each turn" if run.holds else ""),
        ("denied", "; ".join(run.denied)),
        ("secrets", rotation(run)),
        ("attempt", str(len(run.attempts)) if len(run.attempts) > 1 else ""),
        ("run", run.id if run.number is None else f"{run.label}  {run.id}"),
    ]


def _fact(name: str, text: str) -> Content:
    return Content.assemble((f"{name:<9}", "dim"), text)
