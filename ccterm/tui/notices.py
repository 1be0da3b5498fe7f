"""Tells the user what happens: in a line, in toasts and on the desktop, each once; and the terminal's title and progress mark."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping
from datetime import datetime

from ccterm.causes import ADVICE, Cause, advice
from ccterm.events import Event, Finished, Limited, Started, Steered, Waiting
from ccterm.models import State
from ccterm.render import change_numbers, outcome
from ccterm.settings import TuiSettings
from ccterm.tui.run_text import limit_text, short_name
from ccterm.tui.run_view import RunView
from ccterm.tui.runs import Runs
from ccterm.tui.toasts import Severity, Toast

_log = logging.getLogger(__name__)
REFUSED = ADVICE[Cause.AUTH].sentence
"""The title of the one notice for all runs of a login."""
Send = Callable[[str, str], None]
"""Shows title and text on the desktop."""


class Notices:
    """Decides what the user is told: everything in a line, what waits, failed or was refused in a toast and on the desktop, too.

    opened: events before this time are not told.
    """

    def __init__(self, note: Callable[[str, Severity], None], toast: Callable[[Toast], None], send: Send, *, opened: datetime) -> None:
        self._note = note
        self._toast = toast
        self._send = send
        self._opened = opened
        self._told: set[tuple[str, str]] = set()

    def tell(self, view: RunView, event: Event) -> None:
        """Tell the user of an event if it matters, once."""
        if event.at is None or event.at < self._opened:
            return
        if isinstance(event, Started):  # a login that is refused from now on is another one
            self._told = {told for told in self._told if told[0] != REFUSED}
        found = _toast(view, event)
        if found is None:
            if line := _line(view, event):
                self._note(f"{view.run.label} {short_name(view.run)} {line}", "information")
            return
        if (found.title, found.text) in self._told:
            return
        if not found.who:  # every run reports the same usage window, or the same login
            self._told.add((found.title, found.text))
        self._note(found.title if found.who else f"{found.title}: {found.text}", found.severity)
        self._toast(found)
        self._send(found.title, found.text)


def _toast(view: RunView, event: Event) -> Toast | None:
    """Return the toast for an event; None when it needs none."""
    run = view.run
    who = f"{run.label} {short_name(run)}"
    match event:
        case Waiting(until=until) if until:
            if view.asked_for:
                return Toast(
                    f"{who} asks permission", view.activity.removeprefix("asks permission: "), "warning", who, "runs ask permission"
                )
            return Toast(f"{who} is waiting for input", view.activity or "s answers", "warning", who, "runs are waiting for input")
        case Finished(state=State.FAILED, cause=Cause.AUTH):
            return Toast(REFUSED, "log in again: runs that wait go on then, and L starts those again that ended", "error")
        case Finished(state=State.FAILED, cause=Cause.POLICY, summary=summary):
            return Toast(f"{who} was refused", summary or advice(Cause.POLICY, "").sentence, "error", who, "runs were refused")
        case Finished(state=State.FAILED, cause=cause, reason=reason) if cause:
            return Toast(f"{who} failed: {cause}", advice(cause, reason).sentence, "error", who, "runs failed")
        case Limited(status="rejected"):
            return Toast("Usage limit reached", limit_text(event), "warning")
        case _:
            return None


def _line(view: RunView, event: Event) -> str:
    """Return what an event says in the line of events, after the run's name; "" for nothing."""
    match event:
        case Started():
            return "has started"
        case Steered(taken=True):
            return "took the message"
        case Finished():
            return ", ".join(filter(None, (outcome(view.run), change_numbers(view.run))))
        case _:
            return ""


class Desktop:
    """Sends desktop notifications; failures are logged and otherwise ignored."""

    def __init__(self) -> None:
        self._sending: set[asyncio.Task[None]] = set()

    def __call__(self, title: str, text: str) -> None:
        """Send one, without waiting."""
        task = asyncio.get_running_loop().create_task(self._send(title, text), name="desktop notification")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, title: str, text: str) -> None:
        from desktop_notifier import DesktopNotifier  # deferred: slow to import

        try:
            async with asyncio.timeout(5):
                await DesktopNotifier(app_name="ccterm").send(title=title, message=text)
        except Exception as error:  # noqa: BLE001 - three operating systems' notification services, each with errors of its own
            _log.info("no desktop notification: %s", error)


def silent(title: str, text: str) -> None:
    """Send nothing."""


def desktop(settings: TuiSettings, environ: Mapping[str, str]) -> Send:
    """Return how to notify the desktop of this terminal, if there is one; over ssh it belongs to another machine."""
    available = sys.platform == "darwin" or environ.get("DBUS_SESSION_BUS_ADDRESS")
    return Desktop() if settings.notifications and available and not environ.get("SSH_CONNECTION") else silent


class TerminalTitle:
    """The terminal's title and progress mark. write: sends a control sequence to the terminal."""

    def __init__(self, settings: TuiSettings, write: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> None:
        self._write = write
        self._title = settings.title
        self._progress = supports_progress(environ) if settings.progress is None else settings.progress
        self._shown = ""

    def begin(self) -> None:
        """Have the terminal save its title."""
        if self._title:
            self._write("\x1b[22;2t")

    def show(self, runs: Runs) -> None:
        """Show how many runs are active and how many need attention; writes only changes."""
        waiting = sum(view.needs_attention for view in runs)
        words = [f"{runs.active} running" if runs.active else "", f"{waiting} waiting" if waiting else ""]
        title = f"\x1b]2;{' · '.join(['ccterm', *(word for word in words if word)])}\x07" if self._title else ""
        mark = f"\x1b]9;4;{2 if waiting else 3 if runs.active else 0};0\x07" if self._progress else ""
        if title + mark != self._shown:
            self._shown = title + mark
            self._write(self._shown)

    def end(self) -> None:
        """Restore the terminal's title and clear its progress mark."""
        if self._title:
            self._write("\x1b]2;\x07\x1b[23;2t")
        if self._progress:
            self._write("\x1b]9;4;0;0\x07")


def supports_progress(environ: Mapping[str, str]) -> bool:
    """Whether the terminal reads OSC 9;4 as progress; others show it as a message."""
    return bool(environ.get("WT_SESSION") or environ.get("ConEmuANSI")) or environ.get("TERM_PROGRAM") in ("ghostty", "WezTerm")
