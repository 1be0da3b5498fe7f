"""Launch many Claude Code agents at once; each one's work comes back as a pushed branch.

The public API: `AgentService`, and the values that it takes and gives.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccterm.daemon import AgentService
    from ccterm.draft import Draft
    from ccterm.models import Run, State
    from ccterm.service.protocol import Service

__version__ = "0.1.0"
__all__ = ["AgentService", "Draft", "Run", "Service", "State", "__version__"]
_HOMES = {"AgentService": "daemon", "Service": "service.protocol", "Draft": "draft", "Run": "models", "State": "models"}


def __getattr__(name: str) -> object:
    """Import the public names when they are first asked for: `ccterm --help` needs none of them."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
