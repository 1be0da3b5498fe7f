"""Toasts, at most one of each kind at a time, and never over a dialog; and the one line that says what happened last."""

from collections.abc import Callable, Iterable
from datetime import datetime
from time import monotonic
from typing import Literal, NamedTuple

SECONDS = 8.0
"""How long a toast is shown after the last thing that it tells."""
_NAMED = 3
"""How many runs a toast names."""
Severity = Literal["information", "warning", "error"]


class Happening(NamedTuple):
    """Something that happened, in one line."""

    at: datetime
    text: str
    severity: Severity = "information"


class Toast(NamedTuple):
    """Something that the user should see at once.

    who: the run that it is about, "" for none. several: the title when the same happens to more runs, after their number.
    """

    title: str
    text: str
    severity: Severity
    who: str = ""
    several: str = ""


class _Group:
    """Toasts of one kind that came close together."""

    def __init__(self, first: Toast) -> None:
        self.toasts = [first]
        self.until = monotonic() + SECONDS

    def add(self, toast: Toast) -> None:
        self.toasts = [*(other for other in self.toasts if other.who != toast.who), toast]
        self.until = monotonic() + SECONDS

    def as_one(self) -> Toast:
        """Return what is to be shown."""
        last = self.toasts[-1]
        if len(self.toasts) == 1:
            return last
        names = [toast.who for toast in self.toasts]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return last._replace(title=f"{len(names)} {last.several}", text=", ".join(names[:_NAMED]) + more)


class Toasts:
    """The toasts of an app.

    show: replaces all that are shown, each with the seconds that it has left. held: whether none may be shown now, as a dialog is open.
    """

    def __init__(self, show: Callable[[Iterable[tuple[Toast, float]]], None], held: Callable[[], bool]) -> None:
        self._show = show
        self._held = held
        self._groups: dict[str, _Group] = {}
        self._late = False

    def add(self, toast: Toast) -> None:
        """Take a toast, together with those of its kind; `flush` shows it."""
        key = toast.several or toast.title
        group = self._groups.get(key)
        if group and group.until > monotonic():
            group.add(toast)
        else:
            self._groups[key] = _Group(toast)
        self._late = True

    def flush(self) -> None:
        """Show what has come, unless a dialog is open."""
        if self._late and not self._held():
            self._late, now = False, monotonic()
            self._groups = {key: group for key, group in self._groups.items() if group.until > now}
            self._show([(group.as_one(), group.until - now) for group in self._groups.values()])
