"""The seam between the pipeline and the programs that do tasks: a launch line in, a verdict out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import Field, JsonValue, SecretStr

from ccterm.agents.stream import StreamParser
from ccterm.box.protocol import Keep
from ccterm.causes import Cause
from ccterm.models import ExecutionMode, Limits, Value

MCP_FILE = ".ccterm-mcp.json"
"""Where in its HOME an agent finds the MCP servers that the user gave it."""


class Launch(Value):
    """What an agent is told before it starts."""

    session_id: str
    """A fresh uuid4, ours."""
    execution_mode: ExecutionMode
    model: str | None = None
    agent_args: tuple[str, ...] = ()
    limits: Limits = Field(default_factory=Limits)
    skip_permissions: bool = False
    token: SecretStr | None = None
    """A Claude login for the box, or None: the user's own HOME and login serve (local executor only)."""
    base_url: str | None = None
    mcp: bool = False
    """Whether its private HOME holds MCP_FILE."""


@dataclass(frozen=True)
class Command:
    """How the supervisor starts an agent."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    secrets: Mapping[str, SecretStr]
    private_home: bool
    keep: tuple[Keep, ...]


@dataclass(frozen=True)
class Outcome:
    """How the agent's part of a run ended. cause None = it ended well (or was cancelled: `cancelled`)."""

    cause: Cause | None
    reason: str = ""
    summary: str = ""
    """The agent's last words, or what went wrong."""
    cancelled: bool = False
    asked: bool = False


class Agent(Protocol):
    """One kind of agent."""

    name: str

    def command(self, launch: Launch) -> Command:
        """Return the launch line. Raises PreflightError when its program is not on this machine, UsageError for arguments that it cannot take."""
        ...

    def parser(self) -> StreamParser:
        """Return a fresh parser for one run's lines."""
        ...

    def judge(self, parser: StreamParser, report: Mapping[str, JsonValue] | None) -> Outcome:
        """Return what became of a run, from what was parsed and what the supervisor reported."""
        ...
