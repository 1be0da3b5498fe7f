"""The seam between the pipeline and the programs that do tasks, a launch line in and a verdict out; and its simple implementation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import Field, JsonValue, SecretStr

from ccterm.agents import verdict
from ccterm.agents.stream import StreamParser
from ccterm.agents.verdict import Outcome
from ccterm.box.protocol import Keep
from ccterm.errors import UsageError
from ccterm.events import Spent
from ccterm.models import ExecutionMode
from ccterm.values import Limits, Value

MCP_FILE = ".ccterm-mcp.json"
"""Where in its HOME an agent finds the MCP servers that the user gave it."""


class Launch(Value):
    """What an agent's launch line depends on."""

    session_id: str
    """A uuid4 chosen by ccterm: a fresh one, or that of the conversation to go on with."""
    resume: bool = False
    """Whether an earlier conversation goes on, whose file is in the agent's HOME."""
    execution_mode: ExecutionMode
    model: str | None = None
    agent_args: tuple[str, ...] = ()
    limits: Limits = Field(default_factory=Limits)
    skip_permissions: bool = False
    ask: bool = False
    """Whether the user is asked for what the agent may not do by itself; else it is denied."""
    token: SecretStr | None = None
    """A Claude login for the box; None = the user's own HOME and login (local executor only), or `gateway`."""
    gateway: bool = False
    """Whether the box gets a pass for the gateway in place of a login, once its agent starts, and has a proxy that leads there."""
    token_name: str = "CLAUDE_CODE_OAUTH_TOKEN"
    """The environment variable in which the agent gets the token."""
    variables: Mapping[str, str] = {}
    """Variables by which the agent uses another cloud than the Claude API; `secret_variables` are its credentials."""
    secret_variables: Mapping[str, SecretStr] = {}
    base_url: str | None = None
    """Another address for the Claude API. With the gateway only that there is one counts: the box sees its own proxy there."""
    no_proxy: str = ""
    """What the user's environment has asked without a proxy."""
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
    reads_repository: bool = False
    """Whether the program would obey settings in the repository, so that the supervisor decides what of them acts."""


class Agent(Protocol):
    """One kind of agent."""

    name: str

    def command(self, launch: Launch) -> Command:
        """Return the launch line. Raises PreflightError if its program is not on this machine, UsageError for arguments it cannot take."""
        ...

    def parser(self, before: Spent | None = None) -> StreamParser:
        """Return a fresh parser for one run's lines. before: what the conversation had cost before this run."""
        ...

    def judge(self, parser: StreamParser, report: Mapping[str, JsonValue] | None) -> Outcome:
        """Return how a run ended, from what was parsed and what the supervisor reported."""
        ...


def agent_by_name(name: str, agents: Mapping[str, Agent]) -> Agent:
    """Return the agent with that name. Raises UsageError, listing the known ones."""
    if name not in agents:
        raise UsageError(f"there is no agent {name!r}", f"choose one of: {', '.join(sorted(agents))}")
    return agents[name]


class ScriptedAgent:
    """Plays the script in its prompt (ccterm/box/scripted) for the demo and most tests, through the same parser and verdict as Claude."""

    name = "scripted"

    def command(self, launch: Launch) -> Command:
        """Return the launch line; the program is ccterm's own, so it is always available."""
        skip = launch.skip_permissions or launch.execution_mode is ExecutionMode.DAGGER
        flags = ["--resume" if launch.resume else "--session-id", launch.session_id, "--include-partial-messages"]
        flags += ["--model", launch.model] if launch.model else []
        flags += ["--dangerously-skip-permissions"] if skip else ["--permission-mode", "acceptEdits"]
        flags += ["--permission-prompt-tool", "stdio"] if launch.ask and not skip else []
        keep = Keep(glob=f".claude/projects/*/{launch.session_id}.jsonl", to="session")
        return Command(argv=("@box", "scripted", *flags, *launch.agent_args), env={}, secrets={}, private_home=True, keep=(keep,))

    def parser(self, before: Spent | None = None) -> StreamParser:
        """Return a fresh parser."""
        return StreamParser(before)

    def judge(self, parser: StreamParser, report: Mapping[str, JsonValue] | None) -> Outcome:
        """Return how a run ended."""
        return verdict.judge(parser, report)
