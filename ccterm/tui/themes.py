"""The themes that a user can choose from."""

from collections.abc import Collection

from textual.theme import BUILTIN_THEMES


def theme_names() -> Collection[str]:
    """Return the names of all themes, sorted."""
    return sorted(BUILTIN_THEMES)
