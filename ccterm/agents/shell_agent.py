"""A person's shell in place of an agent: in its box, with its HOME, its conversation and its login."""

import json
from collections.abc import Mapping
from dataclasses import replace

from pydantic import JsonValue

from ccterm.agents import verdict
from ccterm.agents.base import Agent, Command, Launch
from ccterm.agents.stream import StreamParser
from ccterm.agents.verdict import Outcome
from ccterm.events import Spent
from ccterm.values import Terminal

SOCKET = "terminal.sock"
"""In the box: the way to the person's terminal."""
_FILES = {".claude.json": json.dumps({"hasCompletedOnboarding": True})}
"""Files for the HOME of the shell. Without this one, claude would begin with its first start, which asks for another login."""


class ShellAgent:
    """Starts a shell where another agent would start: what it changes is committed as an agent's work, and whatever it ends with is well.

    No settings of the repository are held back: a person decides what runs.
    """

    def __init__(self, agent: Agent, terminal: Terminal) -> None:
        self._agent, self._terminal = agent, terminal
        self.name = agent.name

    def command(self, launch: Launch) -> Command:
        """Return the launch line. Raises what that of the agent raises."""
        argv = ("@box", "terminal", f"../{SOCKET}", str(self._terminal.rows), str(self._terminal.columns), json.dumps(_FILES))
        command = self._agent.command(launch)
        return replace(command, argv=argv, env={**command.env, "TERM": self._terminal.kind}, reads_repository=False)

    def parser(self, before: Spent | None = None) -> StreamParser:
        """Return a parser that will have nothing to read."""
        return self._agent.parser(before)

    def judge(self, parser: StreamParser, report: Mapping[str, JsonValue] | None) -> Outcome:
        """Return how it ended."""
        return verdict.judge_shell(parser, report)
