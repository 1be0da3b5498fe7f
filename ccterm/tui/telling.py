"""How the app tells what happens: in the line of events, and in toasts, each of which the screen finds a place for."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from textual.screen import ModalScreen, Screen

from ccterm.errors import CctermError
from ccterm.tui.messages import visible_screens
from ccterm.tui.textual_private import QuietCrash
from ccterm.tui.toasts import Happening, Severity, Toast, Toasts

if TYPE_CHECKING:  # the first frame does without
    from ccterm.tui.runs import Runs

COALESCE_SECONDS = 0.1
"""Toasts that come closer together than this are shown together."""


@runtime_checkable
class SaysWhyNot(Protocol):
    """A screen or widget that knows why an action of its own cannot be done now."""

    def why_not(self, action: str) -> str:
        """Return why an action cannot be done now, as a sentence; "" when it can be, or nothing is to be said."""
        ...


class TellingScreen(Screen[None]):
    """A screen that has a say in where toasts are shown."""

    def make_room_for_toasts(self) -> None:
        """Choose where toasts may cover something; here nowhere, so that they take lines of their own."""


class TellingApp(QuietCrash):
    """An app that tells what happens to its runs."""

    clock: Callable[[], datetime]
    runs: "Runs"

    def __init__(self) -> None:
        super().__init__()
        self._toasts = Toasts(self._show_toasts, self._in_dialog)

    def note(self, text: str, severity: Severity = "information") -> None:
        """Show a sentence as what happened last."""
        from ccterm.output.own_text import clean_text  # deferred: the first frame does without
        from ccterm.tui.widgets.state_lines import StatusLine

        self.runs.last = Happening(self.clock(), clean_text(text).replace("\n", " "), severity)
        for screen in visible_screens(self):
            for line in screen.query(StatusLine):
                line.show_state(self.clock())

    def notify(  # the parameters are Textual's; what is said here is never markup, and shown as long as every toast
        self,
        message: str,
        *,
        title: str = "",
        severity: Severity = "information",
        timeout: float | None = None,  # noqa: ARG002
        markup: bool = False,  # noqa: ARG002
    ) -> None:
        """Say something: errors in a toast and in the line of events, the rest there alone, unless the screen has no such line."""
        from ccterm.tui.widgets.state_lines import StatusLine  # deferred, as above

        self.note(f"{title}: {message}" if title and message else title or message, severity)
        if severity == "error" or not (self.screen_stack and self.screen.query(StatusLine)):
            self._toast(Toast(title, message, severity))

    def _toast(self, toast: Toast) -> None:
        self._toasts.add(toast)
        self.set_timer(COALESCE_SECONDS, self._toasts.flush)

    def _in_dialog(self) -> bool:
        return not self.screen_stack or isinstance(self.screen, ModalScreen)

    def _show_toasts(self, toasts: Iterable[tuple[Toast, float]]) -> None:
        from ccterm.output.own_text import clean_text  # deferred: the first frame does without

        self.clear_notifications()
        if isinstance(self.screen, TellingScreen):
            self.screen.make_room_for_toasts()
        for toast, seconds in toasts:
            text, title = clean_text(toast.text), clean_text(toast.title)
            super().notify(text, title=title, severity=toast.severity, timeout=seconds, markup=False)


def describe_error(error: BaseException) -> tuple[str, str]:
    """Return what went wrong and how to fix it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, CctermError):
        return error.message, error.fix
    from ccterm.machine_errors import machine_error  # deferred: the first frame does without

    if found := machine_error(error):
        return str(error), found.fix
    return f"{type(error).__name__}: {error}", "this is a bug in ccterm, please report it"
