"""Notices: each event once, none from before the start, and the terminal's title and progress mark."""

from datetime import timedelta

from ccterm.causes import Cause
from ccterm.events import Event, Finished, Limited, Said, Started, Waiting
from ccterm.models import ExecutionMode, Run, RunId, State, Task
from ccterm.settings import TuiSettings
from ccterm.tui.notices import Notices, TerminalTitle, desktop, silent, supports_progress
from ccterm.tui.run_view import RunView
from ccterm.tui.runs import Runs
from tests.tui.fake_service import NOON

RUN = Run(id=RunId("R"), number=7, task=Task(prompt="x", repo="/r", branch="fix/x", execution_mode=ExecutionMode.LOCAL), created=NOON)


def notified(*happened: Event) -> tuple[list[str], list[str]]:
    """Return the titles of toasts and of desktop notifications."""
    toasts, sent, _ = told(*happened)
    assert toasts == sent
    return toasts, sent


def told(*happened: Event) -> tuple[list[str], list[str], list[str]]:
    """Return the titles of toasts and of desktop notifications, and the lines of events."""
    toasts, sent, lines = list[str](), list[str](), list[str]()
    notices = Notices(
        lambda text, _: lines.append(text), lambda toast: toasts.append(toast.title), lambda title, _: sent.append(title), opened=NOON
    )
    for event in happened:
        notices.tell(RunView(RUN), event)
    return toasts, sent, lines


def test_waiting_and_failed_runs_are_notified_on_the_desktop_too() -> None:
    waiting, failed = Waiting(until=NOON, at=NOON), Finished(state=State.FAILED, cause=Cause.PUSH, at=NOON)
    assert notified(waiting, failed) == (["#7 fix/x is waiting for input", "#7 fix/x failed: push"],) * 2


def test_what_needs_nobody_is_told_in_the_line_of_events_alone() -> None:
    toasts, _, lines = told(Started(at=NOON), Finished(state=State.SUCCEEDED, at=NOON))
    assert toasts == []
    assert lines == ["#7 fix/x has started", "#7 fix/x queued"]


def test_events_from_before_the_start_are_not_notified() -> None:
    assert notified(Waiting(until=NOON, at=NOON - timedelta(seconds=1))) == ([], [])


def test_ten_runs_that_hit_one_limit_make_one_notice() -> None:
    limit = Limited(limit="five_hour", status="rejected", resets_at=NOON, at=NOON)
    assert notified(limit, limit, limit) == (["Usage limit reached"],) * 2


def test_ten_runs_whose_login_is_refused_make_one_notice_until_another_login_is_refused() -> None:
    refused = Finished(state=State.FAILED, cause=Cause.AUTH, at=NOON)
    assert notified(refused, refused, refused) == (["Claude refused the login"],) * 2
    assert notified(refused, refused, Started(at=NOON), refused)[0] == ["Claude refused the login"] * 2


def test_what_an_agent_says_makes_no_notice() -> None:
    assert notified(Said(text="hello", at=NOON), Waiting(until=None, at=NOON), Limited(limit="five_hour", status="allowed", at=NOON)) == (
        [],
        [],
    )


def test_the_desktop_is_not_notified_over_ssh_without_one_or_when_disabled() -> None:
    bus = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"}
    assert desktop(TuiSettings(), bus | {"SSH_CONNECTION": "1"}) is silent
    assert desktop(TuiSettings(notifications=False), bus) is silent
    assert desktop(TuiSettings(), bus) is not silent


def signs(settings: TuiSettings, **environ: str) -> tuple[TerminalTitle, list[str]]:
    written = list[str]()
    return TerminalTitle(settings, written.append, environ), written


def test_title_and_progress_show_the_runs_and_are_restored() -> None:
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


def test_each_can_be_disabled() -> None:
    shown, written = signs(TuiSettings(title=False, progress=False), TERM_PROGRAM="ghostty")
    shown.begin()
    shown.show(Runs())
    shown.end()
    assert "".join(written) == ""


def test_progress_is_only_for_terminals_that_support_it() -> None:
    assert supports_progress({"WT_SESSION": "1"})
    assert not supports_progress({"TERM_PROGRAM": "iTerm.app"})
