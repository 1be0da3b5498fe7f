"""Help and the command palette: every key and every action of the screen below, and why one does nothing now. Made from the bindings."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from textwrap import wrap
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static, TextArea

from ccterm.tui.run_text import SIGNS, TONES
from ccterm.tui.screen_base import why_not

KEY_WIDTH = 12
_WORD = re.compile(r"\w+")


class Entry(NamedTuple):
    """Keys, what they do, and why they cannot do it now."""

    key: str
    text: str
    reason: str = ""


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
        self._below = screen
        self._shown = Content()

    def compose(self) -> ComposeResult:
        """Lay out keys, then signs."""
        with VerticalScroll():
            yield Static(markup=False)

    def on_mount(self) -> None:
        """List the keys, and again when what they can do has changed."""
        self._below.bindings_updated_signal.subscribe(self, lambda _: self._show())
        self._show()

    def on_resize(self) -> None:
        """Wrap the lines anew."""
        self._show()

    def _show(self) -> None:
        """Show what each key does, and why one does nothing now."""
        room = min(96, self.app.size.width * 96 // 100) - KEY_WIDTH - 11
        lines = [Content(f"{self._below.HELP}\n")] if self._below.HELP else []
        for title, entries in _parts(self._below):
            if entries:
                lines += [Content.styled(title, "bold"), *(_line(entry, room) for entry in entries), Content("")]
        text = Content("\n").join([*lines, Content.styled("Signs", "bold"), *_signs()])
        if not text.is_same(self._shown):  # the screen below says many times a second that its keys may have changed
            self._shown = text
            self.query_one(Static).update(text)


def _parts(screen: Screen[object]) -> Iterator[tuple[str, Sequence[Entry]]]:
    """Yield the keys of a screen by where they belong to."""
    bindings = screen.active_bindings
    found = [active for active in bindings.values() if _is_listed(active)]
    here = [active for active in found if active.node is screen]
    everywhere = [active for active in found if active.node is screen.app]
    numbers = [Entry("1-9", "Go to the pane at this place")] if "1" in bindings else []
    always = [Entry("ctrl+p", "All actions by name"), Entry("ctrl+c", "Copy the selected text; without a selection: quit")]
    yield "This screen", [*_entries(screen, here), *numbers]
    yield "Focused element", _entries(screen, [active for active in found if active not in here and active not in everywhere])
    yield "Everywhere", [*_entries(screen, everywhere), *always]


def _is_listed(active: ActiveBinding) -> bool:
    binding = active.binding
    return bool(binding.description) and not binding.system and not binding.action.startswith(("focus_pane", "screen.copy_text"))


def _entries(screen: Screen[object], bindings: list[ActiveBinding]) -> list[Entry]:
    """Return keys and what they do; keys that do the same are on one line."""
    keys: dict[tuple[str, str], list[str]] = {}
    for active in bindings:
        said = active.binding.tooltip or active.binding.description, why_not(active)
        keys.setdefault(said, []).append(screen.app.get_key_display(active.binding))
    return [Entry(" ".join(dict.fromkeys(found)), text, reason) for (text, reason), found in keys.items()]


def _line(entry: Entry, room: int) -> Content:
    text = f"{entry.text} (now: {entry.reason})" if entry.reason else entry.text
    indented = f"\n{' ' * (KEY_WIDTH + 2)}".join(wrap(text, max(20, room)))
    return Content.assemble(
        (f"  {entry.key:<{KEY_WIDTH}}", "dim" if entry.reason else "bold $text-accent"), (indented, "dim" if entry.reason else "")
    )


def _signs() -> Iterator[Content]:
    pairs = [Content.assemble("  ", (sign, TONES[sign]), f" {text:<20}") for sign, text in SIGNS.items()]
    for index in range(0, len(pairs), 3):
        yield Content("").join(pairs[index : index + 3])


class ActionProvider(Provider):
    """Offers all actions of the screen in the command palette; one that cannot be carried out now comes last and says why."""

    async def discover(self) -> Hits:
        """Offer all of them while nothing is typed."""
        for active in self._actions():
            name = self._name(active)
            yield DiscoveryHit(_shown(name, active), partial(self._carry_out, active), text=name, help=_help(active))

    async def search(self, query: str) -> Hits:
        """Offer those that contain all words of the query, at the start of a word."""
        words = query.casefold().split()
        for place, active in enumerate(self._actions()):
            if score := _score(words, active.binding):
                score -= (0 if active.enabled else 0.5) + place / 10_000
                name = self._name(active)
                yield Hit(score, _shown(name, active), partial(self._carry_out, active), text=name, help=_help(active))

    def _actions(self) -> list[ActiveBinding]:
        """Return the actions of the screen, then those of the app, then those that only move about; of each, what cannot be done now last."""
        places: dict[DOMNode, int] = {self.screen: 0, self.app: 1}
        found: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            edits = isinstance(active.node, Input | TextArea)  # their keys move a cursor: nobody looks for that by name
            if _is_listed(active) and not edits:
                found.setdefault(binding.action, active)
        return sorted(found.values(), key=lambda active: (not active.enabled, places.get(active.node, 2), not active.binding.tooltip))

    def _name(self, active: ActiveBinding) -> str:
        return f"{active.binding.description}  ({self.app.get_key_display(active.binding)})"

    async def _carry_out(self, active: ActiveBinding) -> None:
        if active.enabled:
            await self.app.run_action(active.binding.action, default_namespace=active.node)
        elif reason := why_not(active):
            self.app.notify(reason, severity="warning", markup=False)


def _shown(name: str, active: ActiveBinding) -> Content:
    return Content(name) if active.enabled else Content.styled(name, "dim")


def _help(active: ActiveBinding) -> str | None:
    reason = "" if active.enabled else why_not(active)
    return f"now: {reason}" if reason else active.binding.tooltip or None


def _score(words: Sequence[str], binding: Binding) -> float:
    """Return how well an action fits: 0 when a word begins none of its own; a word of its name counts more than one of what it does."""
    name, does = _WORD.findall(binding.description.casefold()), _WORD.findall(binding.tooltip.casefold())
    scores = [
        3.0
        if word in (*name, binding.key)
        else 2.0
        if any(own.startswith(word) for own in name)
        else 1.0
        if any(own.startswith(word) for own in does)
        else 0.0
        for word in words
    ]
    return sum(scores) if all(scores) else 0.0
