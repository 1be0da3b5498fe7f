"""Keeps pydantic from looking through every installed package for plugins of its own: 50 ms at each start, for what ccterm has no use.

Only the command does so: a program that imports ccterm keeps its plugins.
"""

import sys
from types import ModuleType

_LOADER = "pydantic.plugin._loader"


def without_plugins() -> None:
    """Stand in for the private module that looks for them; should it be called otherwise one day, they are looked for again."""
    stand_in = ModuleType(_LOADER)
    vars(stand_in)["get_plugins"] = tuple
    sys.modules.setdefault(_LOADER, stand_in)
