"""The themes that a user can choose from, and which one suits a terminal: its background may be light, and it may have 16 colours only."""

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from textual.theme import BUILTIN_THEMES

from ccterm.tui.opening import Look

if TYPE_CHECKING:  # the first frame does without
    from ccterm.tui.memory import Memory

QUESTION = "\x1b]11;?\x1b\\"
"""Asks a terminal for its background."""
SUITING = {(False, False): "textual-dark", (True, False): "textual-light", (False, True): "ansi-dark", (True, True): "ansi-light"}
"""Light background, 16 colours -> theme. The last two use the terminal's own colours, where red stays red whatever it looks like."""
_ANSWER = re.compile(r"(?:rgba?:|#)([0-9a-fA-F]{1,4})/?([0-9a-fA-F]{1,4})/?([0-9a-fA-F]{1,4})")
_LIGHT_COLOURS = (7, *range(9, 16))


def theme_names() -> Collection[str]:
    """Return the names of all themes, sorted."""
    return sorted(BUILTIN_THEMES)


def light_by_environment(environ: Mapping[str, str]) -> bool | None:
    """Return whether COLORFGBG says that the terminal's background is light; None when it says nothing."""
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return int(background) in _LIGHT_COLOURS if background.isascii() and background.isdigit() else None


def light_by_answer(answer: str) -> bool | None:
    """Return whether a terminal's answer (`rgb:ffff/ffff/dddd`) is a light colour; None when it is none."""
    found = _ANSWER.match(answer)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return bool(0.299 * red + 0.587 * green + 0.114 * blue > 0.5)


class ThemeChoice:
    """Which theme is shown: that of the settings, else the one that the user picked, else what suits the terminal."""

    def __init__(self, look: Look, *, light: bool | None) -> None:
        """light: whether the terminal's background is known to be light; None = as it was the last time."""
        self._setting = look.setting if look.setting in BUILTIN_THEMES else None
        self.picked = look.picked if look.picked in BUILTIN_THEMES else None
        """What the user picked; None = nothing."""
        self._light = look.light if light is None else light
        self._answered: bool | None = None
        self._memory: Memory | None = None
        self.sixteen = False
        """Whether the terminal has 16 colours only."""

    @property
    def follows_terminal(self) -> bool:
        """Whether the terminal's background decides."""
        return self._setting is None and self.picked is None

    @property
    def by_settings(self) -> bool:
        """Whether the settings decide, at the latest when the terminal is opened again."""
        return self._setting is not None

    @property
    def name(self) -> str:
        """The name of the theme to show."""
        return self._setting or self.picked or self.suiting

    @property
    def suiting(self) -> str:
        """The name of the theme that suits the terminal."""
        return SUITING[self._light, self.sixteen]

    def answered(self, *, light: bool) -> None:
        """Note what the terminal says of its background, for the next time as well."""
        self._light = self._answered = light
        if self._memory:
            self._memory.see(light=light)

    def pick(self, name: str | None) -> None:
        """Remember what the user picked; None = whatever suits the terminal."""
        self.picked = name
        if self._memory:
            self._memory.pick(name)

    def remember(self, memory: "Memory") -> None:
        """Remember from now on what is picked and answered, and what has been answered already."""
        self._memory = memory
        if self._answered is not None:
            memory.see(light=self._answered)
