"""The user's own keys: `[keys]` in the settings gives an action another key. An action is named by its words in the palette: next-hunk."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.keys import Keys

from ccterm.errors import SettingsError

_NAMES = {key.value for key in Keys}
_MODIFIERS = {"ctrl", "shift", "alt", "super", "meta"}
Bindings = Mapping[str, Binding]
"""Key -> binding."""


def named(bindings: Sequence[BindingType]) -> list[BindingType]:
    """Return bindings with the names by which the settings can give them other keys."""
    return [Binding(**{**vars(each), "id": name_of(each)}) if isinstance(each, Binding) and not each.id else each for each in bindings]


def name_of(binding: Binding) -> str | None:
    """Return an action's name, made of the words that describe it; None when there are none."""
    return re.sub(r"[^a-z0-9]+", "-", binding.description.lower()).strip("-") or None


def keymap(keys: Mapping[str, str]) -> dict[str, str]:
    """Return the user's keys as Textual takes them: name -> keys. Raises SettingsError, which names what does not go together."""
    found, faults = keymap_and_faults(keys)
    if faults:
        raise faults[0]
    return found


def keymap_and_faults(keys: Mapping[str, str]) -> tuple[dict[str, str], Sequence[SettingsError]]:
    """Return those of the user's keys that there are as Textual takes them, and everything that is wrong with the others and between them."""
    if not keys:
        return {}, ()
    groups = list(_groups())
    known = sorted({binding.id for group in groups for part in group for binding in part.values() if binding.id})
    wrong = {name: error for name, typed in keys.items() if (error := _wrong_key(name, typed, known))}
    found = {name: ",".join(_full_name(key.strip()) for key in typed.split(",")) for name, typed in keys.items() if name not in wrong}
    conflicts = {str(error): error for group in groups for error in _conflicts(group, found)}
    return found, [*wrong.values(), *conflicts.values()]


def _wrong_key(name: str, typed: str, known: Sequence[str]) -> SettingsError | None:
    if name not in known:
        close = get_close_matches(name, known, 3)
        return SettingsError(
            f"[keys] there is no action {name!r}", f"did you mean {' or '.join(close)}?" if close else f"they are {', '.join(known)}"
        )
    if wrong := next((key for key in typed.split(",") if not _is_key(key.strip())), None):
        return SettingsError(
            f"[keys] {name}: there is no key {wrong!r}", "write it as x, X, ?, f5, space, ctrl+x or shift+tab; several with commas"
        )
    return None


def defaults(kinds: Sequence[type[DOMNode]], names: Mapping[str, str]) -> dict[str, str]:
    """Return for each key that these classes give to a renamed action the key that it has now."""
    bound = [(key, binding.id or "") for kind in kinds for key, binding in _bindings(kind).items()]
    return {key: names[name].split(",")[0] for key, name in bound if name in names}


def _groups() -> Iterator[tuple[Bindings, ...]]:
    """Yield what is active together: the app's bindings, a screen's, and those of what has the focus in it."""
    from ccterm.tui.app import CctermApp  # deferred: most users have no keys of their own
    from ccterm.tui.pane import EventPane
    from ccterm.tui.screens.fleet import FleetScreen
    from ccterm.tui.screens.history import HistoryScreen
    from ccterm.tui.screens.launch import LaunchScreen
    from ccterm.tui.screens.preflight import PreflightScreen
    from ccterm.tui.screens.run import RunScreen
    from ccterm.tui.screens.table import TableScreen
    from ccterm.tui.widgets.patch_view import PatchView

    alone: list[type[DOMNode]] = [TableScreen, HistoryScreen, LaunchScreen, PreflightScreen]
    app = _bindings(CctermApp)
    yield from ((app, _bindings(screen)) for screen in alone)
    yield from (
        (app, _bindings(screen), _bindings(focused))
        for screen, focused in ((FleetScreen, EventPane), (RunScreen, EventPane), (RunScreen, PatchView))
    )


def _bindings(kind: type[DOMNode]) -> Bindings:
    found: dict[str, Binding] = {}
    for each in reversed(kind.__mro__):
        own: list[BindingType] = vars(each).get("BINDINGS", [])
        found |= {binding.key: binding for binding in Binding.make_bindings(own)}
    return found


def _conflicts(group: Sequence[Bindings], keys: Mapping[str, str]) -> Iterator[SettingsError]:
    """Yield an error where a key of the user's would do two things at once."""
    used: dict[str, set[str]] = {}
    for part in group:
        for key, binding in part.items():
            for each in keys.get(binding.id or "", key).split(","):
                used.setdefault(each, set()).add(binding.id or binding.action)
    for name, typed in keys.items():
        for key in typed.split(","):
            if name in used.get(key, ()) and (others := sorted(used[key] - {name})):
                yield SettingsError(f"[keys] {name}: the key {key} is that of {others[0]}, too", f"give {name} or {others[0]} another one")


def _is_key(key: str) -> bool:
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    return _MODIFIERS.issuperset(modifiers) and (
        (len(last) == 1 and last.isprintable()) or key in _NAMES or last in _NAMES or _is_character(last)
    )


def _is_character(name: str) -> bool:
    """Whether a name is that of a character, as Textual writes them: question_mark."""
    try:
        return len(unicodedata.lookup(name.replace("_", " "))) == 1
    except KeyError:
        return False


def _full_name(key: str) -> str:
    """Return a key as Textual names it."""
    if len(key) > 1 or key.isalnum():
        return key
    return unicodedata.name(key).lower().replace("-", "_").replace(" ", "_") if key != " " else "space"
