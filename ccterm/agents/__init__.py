"""The programs that do tasks, each behind the same seam."""

from collections.abc import Mapping

from ccterm.agents.base import Agent
from ccterm.errors import UsageError


def agent_by_name(name: str, agents: Mapping[str, Agent]) -> Agent:
    """Return the agent of that name. Raises UsageError, naming those there are."""
    if name not in agents:
        raise UsageError(f"there is no agent {name!r}", f"choose one of: {', '.join(sorted(agents))}")
    return agents[name]
