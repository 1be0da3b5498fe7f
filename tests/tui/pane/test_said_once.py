"""What was said just before, or is said by the header, no line of a pane says again."""

import pytest

from ccterm import events
from ccterm.causes import Cause
from ccterm.events import Event
from ccterm.models import State
from ccterm.values import NO_ISOLATION, NOT_PASSED_ON, Changes, Finding, Verdict
from tests.tui.pane.conftest import MakeViewport, Writer, shown


@pytest.mark.parametrize(
    ("earlier", "said"),
    [
        ([events.Said(text="All done.\nAnd more.")], "✓ succeeded"),
        ([events.Said(text="Something else.")], "✓ succeeded: All done."),
        ([], "✓ succeeded: All done."),
    ],
    ids=["said", "not said", "nothing said"],
)
def test_the_end_does_not_say_again_what_the_agent_has_just_said(
    writer: Writer, make_viewport: MakeViewport, earlier: list[Event], said: str
) -> None:
    writer.write(
        *earlier, events.StepFinished(step="agent", ok=True, seconds=1), events.Finished(state=State.SUCCEEDED, summary="All done.")
    )
    assert shown(make_viewport())[-1].rstrip() == said


def test_the_end_does_not_say_again_why_it_was_refused(writer: Writer, make_viewport: MakeViewport) -> None:
    finding = Finding(rule="deletions", severity="refuse", text="30 files deleted")
    writer.write(events.Judged(verdict=Verdict(ok=False, findings=(finding,)), changes=Changes(files=30)))
    writer.write(events.Finished(state=State.FAILED, cause=Cause.POLICY, summary="A rule forbids it: 30 files deleted"))
    assert [row.rstrip() for row in shown(make_viewport())][-3:] == ["! policy: refused", "! 30 files deleted", "✗ failed (policy)"]


def test_what_is_so_of_every_run_on_this_machine_is_left_to_the_header(writer: Writer, make_viewport: MakeViewport) -> None:
    notes = (NO_ISOLATION, f"{NOT_PASSED_ON}A, B", "the agent gets your secrets")
    writer.write(*(events.Notice(level="info", text=note) for note in notes))
    assert [row.rstrip() for row in shown(make_viewport()) if row.strip()] == ["· the agent gets your secrets"]
