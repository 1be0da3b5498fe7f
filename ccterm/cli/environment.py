"""The environment that children get. It differs from this process's own in one switch, which is set for the command alone."""

import os

SWITCH = "PYDANTIC_DISABLE_PLUGINS"
_INHERITED = os.environ.get(SWITCH)


def disable_pydantic_plugins() -> None:
    """Keep pydantic from searching every installed package for plugins: 50 ms at each start, for something that ccterm does not use.

    A program that imports ccterm keeps its plugins; a user who set the switch keeps that value.
    """
    if SWITCH not in os.environ:
        os.environ[SWITCH] = "__all__"
        os.unsetenv(SWITCH)  # a child that is started without an explicit environment inherits what the system has, not `os.environ`


def environment() -> dict[str, str]:
    """Return the environment for children: the user's, with the switch as it was when this process started."""
    kept = {name: value for name, value in os.environ.items() if name != SWITCH}
    return kept if _INHERITED is None else kept | {SWITCH: _INHERITED}
