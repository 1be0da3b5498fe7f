"""Agents by name, and the launch line of the scripted one."""

import pytest

from ccterm.agents.base import Agent, Launch, ScriptedAgent, agent_by_name
from ccterm.agents.claude import ClaudeAgent
from ccterm.errors import UsageError
from ccterm.models import ExecutionMode

AGENTS: dict[str, Agent] = {agent.name: agent for agent in (ClaudeAgent(), ScriptedAgent())}


@pytest.mark.parametrize("name", ["claude", "scripted"])
def test_an_agent_is_found_by_its_name(name: str) -> None:
    assert agent_by_name(name, AGENTS).name == name


def test_an_unknown_name_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no agent 'clod'; choose one of: claude, scripted"):
        agent_by_name("clod", AGENTS)


def test_the_scripted_agent_is_a_box_program_with_a_private_home() -> None:
    command = ScriptedAgent().command(Launch(session_id="s-1", execution_mode=ExecutionMode.LOCAL))
    assert command.argv[:2] == ("@box", "scripted")
    assert command.private_home
    assert not command.secrets
