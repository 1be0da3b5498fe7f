"""Tells a user who may look elsewhere: a toast and a desktop notification once for each turn of events, the terminal's title and progress."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping
from datetime import datetime

from ccterm.causes import advice
from ccterm.events import Event, Finished, Limited, Waiting
from ccterm.models import State
from ccterm.render import change_numbers
from ccterm.settings import TuiSettings
from ccterm.tui.run_view import RunView
from ccterm.tui.runs import Runs
from ccterm.tui.words import first_line, window

_log = logging.getLogger(__name__)
Toast = Callable[[str, str, str], None]
"""Shows title, text and severity on the screen."""
Send = Callable[[str, str], None]
"""Puts title and text on the desktop."""


class Notices:
    """Decides what is worth a notice. opened: what happened before was told before."""

    def __init__(self, toast: Toast, send: Send, *, opened: datetime) -> None:
        self._toast = toast
        self._send = send
        self._opened = opened
        self._told: set[tuple[str, str]] = set()

    def tell(self, sight: RunView, event: Event) -> None:
        """Tell of an event if a user would want to know, once."""
        if event.at is None or event.at < self._opened:
            return
        found = _notice(sight, event)
        if found is None or (found[0], found[1]) in self._told:
            return
        title, text, severity = found
        if isinstance(event, Limited):
            self._told.add((title, text))
        self._toast(title, text, severity)
        if severity != "information":
            self._send(title, text)


def _notice(sight: RunView, event: Event) -> tuple[str, str, str] | None:
    """Return title, text and severity of what an event is worth."""
    target = sight.run.task.target
    match event:
        case Waiting(until=until) if until:
            return f"{target} waits for a word", sight.doing if sight.doing != "waits for a word" else "s answers it", "warning"
        case Finished(state=State.SUCCEEDED):
            return f"{target} is done", change_numbers(sight.run) or "nothing to push", "information"
        case Finished(state=State.FAILED, cause=cause, reason=reason) if cause:
            return f"{target} failed: {cause}", advice(cause, reason).sentence, "error"
        case Limited(status="rejected"):
            return "Usage limit reached", first_line(window(event)), "warning"
        case _:
            return None


class Desktop:
    """Sends notifications to the desktop, where there is one; whatever goes wrong there is nobody's trouble here."""

    def __init__(self) -> None:
        self._sending: set[asyncio.Task[None]] = set()

    def __call__(self, title: str, text: str) -> None:
        """Send one, without waiting."""
        task = asyncio.get_running_loop().create_task(self._send(title, text), name="desktop notification")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, title: str, text: str) -> None:
        from desktop_notifier import DesktopNotifier  # deferred: costs start-up time

        try:
            async with asyncio.timeout(5):
                await DesktopNotifier(app_name="ccterm").send(title=title, message=text)
        except Exception as error:  # noqa: BLE001 - buses and frameworks of three systems, each with errors of its own
            _log.info("no desktop notification: %s", error)


def silent(title: str, text: str) -> None:
    """Send nothing."""


def desktop(settings: TuiSettings, environ: Mapping[str, str]) -> Send:
    """Return how notifications reach the desktop that this terminal is on, if any: over ssh it is another machine's."""
    there = sys.platform == "darwin" or environ.get("DBUS_SESSION_BUS_ADDRESS")
    return Desktop() if settings.notifications and there and not environ.get("SSH_CONNECTION") else silent


class TerminalSigns:
    """The terminal's title and its progress mark. write: puts a control sequence out; None in a terminal that is none."""

    def __init__(self, settings: TuiSettings, write: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> None:
        self._write = write
        self._title = settings.title
        self._progress = knows_progress(environ) if settings.progress is None else settings.progress
        self._shown = ""

    def begin(self) -> None:
        """Let the terminal remember its title."""
        if self._title:
            self._write("\x1b[22;2t")

    def show(self, roster: Runs) -> None:
        """Say how many runs are live and whether one wants its user; written only when it changes."""
        wanting = sum(sight.wants for sight in roster)
        words = [f"{roster.live} running" if roster.live else "", f"{wanting} waiting" if wanting else ""]
        title = f"\x1b]2;{' · '.join(['ccterm', *(word for word in words if word)])}\x07" if self._title else ""
        mark = f"\x1b]9;4;{2 if wanting else 3 if roster.live else 0};0\x07" if self._progress else ""
        if title + mark != self._shown:
            self._shown = title + mark
            self._write(self._shown)

    def end(self) -> None:
        """Leave the terminal as it was."""
        if self._title:
            self._write("\x1b]2;\x07\x1b[23;2t")
        if self._progress:
            self._write("\x1b]9;4;0;0\x07")


def knows_progress(environ: Mapping[str, str]) -> bool:
    """Whether the terminal takes OSC 9;4 for progress; others take it for a message and show it."""
    return bool(environ.get("WT_SESSION") or environ.get("ConEmuANSI")) or environ.get("TERM_PROGRAM") in ("ghostty", "WezTerm")
