"""What all screens of the app have: keys that can be changed, reasons why one does nothing now, and that they catch up when they come back."""

from textual import events
from textual.binding import ActiveBinding

from ccterm.tui.app_base import AppBase
from ccterm.tui.messages import RunsChanged
from ccterm.tui.own_keys import named
from ccterm.tui.telling import SaysWhyNot, TellingScreen


class CctermScreen(TellingScreen):
    """A screen of the app. Its keys can be changed in the settings."""

    AUTO_FOCUS = ""
    """Each gives the keys to what it is about: by itself, Textual gives them to whatever comes first, though it is hidden."""

    def __init_subclass__(cls, *args: bool, **given: bool) -> None:
        cls.BINDINGS = named(vars(cls).get("BINDINGS", []))
        super().__init_subclass__(*args, **given)

    @property
    def ccterm(self) -> AppBase:
        """The app, by its own type."""
        assert isinstance(self.app, AppBase)
        return self.app

    def on_screen_resume(self) -> None:
        """Show what has happened behind another screen, where the app tells nothing: anything may have changed."""
        if self.ccterm.provided:
            self.post_message(RunsChanged([view.run.id for view in self.ccterm.runs]))

    def why_not(self, action: str) -> str:  # noqa: ARG002 - the screens know
        """Return why an action of this screen cannot be done now, as a sentence; "" when it can be, or nothing is to be said."""
        return ""

    def on_key(self, event: events.Key) -> None:
        """Say why a key can do nothing now."""
        active = self.active_bindings.get(event.key)
        if active and not active.enabled and (reason := why_not(active)):
            event.stop()
            self.ccterm.note(reason, "warning")


def why_not(active: ActiveBinding) -> str:
    """Return why what a key is bound to cannot be done now, or ""."""
    action = active.binding.action.split("(")[0].rpartition(".")[2]
    return active.node.why_not(action) if isinstance(active.node, SaysWhyNot) else ""
