"""Help and the command palette: every key and every action of the screen below. Made from the bindings, so they are always complete."""

from collections.abc import Iterator
from functools import partial
from textwrap import wrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static, TextArea

from ccterm.tui.run_text import SIGNS, TONES

KEY_WIDTH = 12


class HelpScreen(ModalScreen[None]):
    """The keys of another screen, and the signs of runs."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll {
        width: 96; max-width: 96%; height: auto; max-height: 96%;
        padding: 0 2; background: $surface; border: round $primary; scrollbar-size-vertical: 1;
    }
    HelpScreen Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "Back")]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        found = [active for active in screen.active_bindings.values() if _is_listed(active)]
        here = [active for active in found if active.node is screen]
        everywhere = [active for active in found if active.node is screen.app]
        within = [active for active in found if active not in here and active not in everywhere]
        numbers = (
            [("1-9", "Focus the pane at this place")]
            if any(active.binding.key == "1" for active in screen.active_bindings.values())
            else []
        )
        always = [("ctrl+p", "All actions by name"), ("ctrl+c", "Copy the selected text; without a selection: quit")]
        self._about = screen.HELP or ""
        self._parts = [
            ("This screen", [*_entries(screen, here), *numbers]),
            ("Focused element", _entries(screen, within)),
            ("Everywhere", [*_entries(screen, everywhere), *always]),
        ]

    def compose(self) -> ComposeResult:
        """Lay out keys, then signs."""
        room = min(96, self.app.size.width * 96 // 100) - KEY_WIDTH - 11
        with VerticalScroll():
            if self._about:
                yield Static(f"{self._about}\n", markup=False)
            for title, entries in self._parts:
                if entries:
                    yield Static(
                        Content("\n").join([Content.styled(title, "bold"), *(_line(entry, room) for entry in entries), Content("")]),
                        markup=False,
                    )
            yield Static(Content("\n").join([Content.styled("Signs", "bold"), *_signs()]), markup=False)


def _is_listed(active: ActiveBinding) -> bool:
    binding = active.binding
    return bool(binding.description) and not binding.system and not binding.action.startswith(("focus_pane", "screen.copy_text"))


def _entries(screen: Screen[object], bindings: list[ActiveBinding]) -> list[tuple[str, str]]:
    """Return keys and what they do; keys that do the same are on one line."""
    keys: dict[str, list[str]] = {}
    for active in bindings:
        text = active.binding.tooltip or active.binding.description
        keys.setdefault(text, []).append(screen.app.get_key_display(active.binding))
    return [(" ".join(dict.fromkeys(found)), text) for text, found in keys.items()]


def _line(entry: tuple[str, str], room: int) -> Content:
    key, text = entry
    indented = f"\n{' ' * (KEY_WIDTH + 2)}".join(wrap(text, max(20, room)))
    return Content.assemble((f"  {key:<{KEY_WIDTH}}", "bold $text-accent"), indented)


def _signs() -> Iterator[Content]:
    pairs = [Content.assemble("  ", (sign, TONES[sign]), f" {text:<20}") for sign, text in SIGNS.items()]
    for index in range(0, len(pairs), 3):
        yield Content("").join(pairs[index : index + 3])


class ActionProvider(Provider):
    """Offers the active bindings in the command palette: everything that can be done now, and nothing else."""

    async def discover(self) -> Hits:
        """Offer all of them while nothing is typed."""
        for binding in self._bindings():
            yield DiscoveryHit(_name(binding), partial(self._carry_out, binding), help=binding.tooltip or None)

    async def search(self, query: str) -> Hits:
        """Offer those that match the query."""
        matcher = self.matcher(query)
        for binding in self._bindings():
            if (score := max(matcher.match(_name(binding)), matcher.match(binding.tooltip))) > 0:
                yield Hit(score, matcher.highlight(_name(binding)), partial(self._carry_out, binding), help=binding.tooltip or None)

    def _bindings(self) -> Iterator[Binding]:
        seen = set[str]()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            edits = isinstance(active.node, Input | TextArea)  # their keys move a cursor: nobody looks for that by name
            if active.enabled and binding.description and not (binding.system or edits) and binding.action not in seen:
                seen.add(binding.action)
                yield binding

    async def _carry_out(self, binding: Binding) -> None:
        await self.app.run_action(binding.action, default_namespace=self._namespace(binding))

    def _namespace(self, binding: Binding) -> DOMNode | None:
        return next(active.node for active in self.screen.active_bindings.values() if active.binding.action == binding.action)


def _name(binding: Binding) -> str:
    return f"{binding.description}  ({binding.key})"
