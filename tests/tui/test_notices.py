"""Notices: each turn of events once, nothing from before, and what the terminal itself is told."""

from datetime import timedelta

from ccterm.causes import Cause
from ccterm.events import Event, Finished, Limited, Said, Waiting
from ccterm.models import ExecutionMode, Run, RunId, State, Task
from ccterm.settings import TuiSettings
from ccterm.tui.notices import Notices, TerminalTitle, desktop, silent, supports_progress
from ccterm.tui.run_view import RunView
from ccterm.tui.runs import Runs
from tests.tui.fake_service import NOON

RUN = Run(id=RunId("R"), task=Task(prompt="x", repo="/r", branch="fix/x", execution_mode=ExecutionMode.LOCAL), created=NOON)


def told(*happened: Event) -> tuple[list[str], list[str]]:
    """Return the titles of toasts, and of what went to the desktop."""
    toasts, sent = list[str](), list[str]()
    notices = Notices(lambda title, *_: toasts.append(title), lambda title, _: sent.append(title), opened=NOON)
    for event in happened:
        notices.tell(RunView(RUN), event)
    return toasts, sent


def test_waiting_and_failing_are_told_on_the_desktop_too() -> None:
    wait_for_input, fails = Waiting(until=NOON, at=NOON), Finished(state=State.FAILED, cause=Cause.AUTH, at=NOON)
    assert told(wait_for_input, fails) == (["fix/x is waiting for input", "fix/x failed: auth"],) * 2


def test_success_is_told_on_the_screen_alone() -> None:
    assert told(Finished(state=State.SUCCEEDED, at=NOON)) == (["fix/x is done"], [])


def test_what_happened_before_is_not_told() -> None:
    assert told(Waiting(until=NOON, at=NOON - timedelta(seconds=1))) == ([], [])


def test_ten_runs_that_meet_one_limit_are_one_notice() -> None:
    limit = Limited(limit="five_hour", status="rejected", resets_at=NOON, at=NOON)
    assert told(limit, limit, limit) == (["Usage limit reached"],) * 2


def test_chatter_is_no_notice() -> None:
    assert told(Said(text="hello", at=NOON), Waiting(until=None, at=NOON), Limited(limit="five_hour", status="allowed", at=NOON)) == (
        [],
        [],
    )


def test_there_is_no_desktop_over_ssh_or_without_one_or_when_it_is_not_wanted() -> None:
    bus = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"}
    assert desktop(TuiSettings(), bus | {"SSH_CONNECTION": "1"}) is silent
    assert desktop(TuiSettings(notifications=False), bus) is silent
    assert desktop(TuiSettings(), bus) is not silent


def signs(settings: TuiSettings, **environ: str) -> tuple[TerminalTitle, list[str]]:
    written = list[str]()
    return TerminalTitle(settings, written.append, environ), written


def test_title_and_progress_say_how_many_runs_there_are_and_are_taken_back() -> None:
    shown, written = signs(TuiSettings(), TERM_PROGRAM="ghostty")
    runs = Runs()
    shown.begin()
    shown.show(runs)
    runs.add(RUN.model_copy(update={"state": State.RUNNING}))
    shown.show(runs)
    shown.show(runs)
    shown.end()
    assert written[1:3] == ["\x1b]2;ccterm\x07\x1b]9;4;0;0\x07", "\x1b]2;ccterm · 1 running\x07\x1b]9;4;3;0\x07"]
    assert written[3:] == ["\x1b]2;\x07\x1b[23;2t", "\x1b]9;4;0;0\x07"]


def test_each_can_be_switched_off() -> None:
    shown, written = signs(TuiSettings(title=False, progress=False), TERM_PROGRAM="ghostty")
    shown.begin()
    shown.show(Runs())
    shown.end()
    assert "".join(written) == ""


def test_progress_is_for_terminals_that_know_it() -> None:
    assert supports_progress({"WT_SESSION": "1"})
    assert not supports_progress({"TERM_PROGRAM": "iTerm.app"})
