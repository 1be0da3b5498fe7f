"""The last line of every screen: the keys that do something now. One widget, repainted only on changes; Textual's footer is one for each key."""

from typing import NamedTuple

from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget


class FooterKey(NamedTuple):
    """A key: as it is shown, what it does, and its name for Textual."""

    shown: str
    text: str
    name: str

    @property
    def width(self) -> int:
        """Cells that it takes."""
        return len(self.shown) + len(self.text) + 3


class KeyFooter(Widget):
    """Keys and what they do; a click presses one."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    KeyFooter { height: 1; width: 1fr; dock: bottom; background: $footer-background; color: $footer-description-foreground; }
    """

    keys: reactive[tuple[FooterKey, ...]] = reactive(())
    """The keys that are offered now."""

    def on_mount(self) -> None:
        """Follow changes of the bindings."""
        self.screen.bindings_updated_signal.subscribe(self, self._show_keys)
        self.call_after_refresh(lambda: self._show_keys(self.screen))

    def _show_keys(self, screen: Screen[object]) -> None:
        if not self.is_attached or not screen.is_current:
            return
        offered = [active for active in screen.active_bindings.values() if active.binding.show and active.enabled]
        places = {screen: 0, self.app: 1}
        # those of the screen, then of the app, then of the focused widget, unless it is what the screen is about
        offered.sort(key=lambda active: places.get(active.node, getattr(active.node, "FOOTER_PLACE", 2)))
        once = {active.binding.action: active for active in reversed(offered)}
        found = [active.binding for active in offered if once[active.binding.action] is active]
        self.keys = tuple(FooterKey(self.app.get_key_display(binding), binding.description, binding.key) for binding in found)

    def render(self) -> Content:
        """Return as many keys as fit; help lists them all."""
        room = self.size.width
        parts: list[Content] = []
        for key in self.keys:
            room -= key.width
            if room < 0:
                break
            parts.append(Content.assemble((f" {key.shown}", "bold $footer-key-foreground"), f" {key.text} "))
        return Content("").join(parts)

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        event.stop()
        at = 0
        for key in self.keys:
            at += key.width
            if event.x < at:
                self.app.simulate_key(key.name)
                return
