"""What a run is carried out with: one object per concern, so that no step gets more than it needs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

from pydantic import JsonValue, SecretStr

from ccterm.agents.base import Agent, Command
from ccterm.agents.stream import StreamParser
from ccterm.executors.base import ServiceContainer
from ccterm.gateway.client import RunPass
from ccterm.git.names import shown
from ccterm.git.remote import Remote
from ccterm.git.types import GIT_HEADER, Ssh
from ccterm.models import Manifest, Task
from ccterm.output.clean import Cleaner
from ccterm.output.deep_scan import secrets_in_file
from ccterm.output.mask import Masker
from ccterm.output.own_text import remember
from ccterm.output.pipeline import OutputPipeline
from ccterm.pipeline.agent_home import HomeFiles
from ccterm.pipeline.continuation import NOTHING_EARLIER, Continuation
from ccterm.pipeline.gateway_access import PASS_NAME, GatewayAccess
from ccterm.pipeline.remote_listings import RemoteListings
from ccterm.pipeline.working_copy import WorkingCopy
from ccterm.policy.rules import PolicyLimits
from ccterm.record import Recorder
from ccterm.values import Egress
from ccterm.workspace.masks import masked_spans, painted, write_masks
from ccterm.workspace.work import Work

MAX_FILE_BYTES = 50 * 1024 * 1024
MAX_TOTAL_BYTES = 200 * 1024 * 1024
SSH_AGENT = "ssh-agent.sock"
Reaches = tuple[tuple[str, int], ...]
"""Host and port of the host's loopback services that a step may use."""


@dataclass(frozen=True)
class RemoteAccess:
    """How resolve, checkout and push reach the remote: address, credential, certificates. Never an agent's."""

    url: str
    """As seen from inside a box."""
    host_url: str
    """As seen from this process."""
    mirror_key: str
    """Name of the mirror that is kept between runs; "" = none, as for a path, where a mirror would save nothing."""
    header: SecretStr | None = None
    ca: str | None = None
    ssh_agent: Path | None = None
    known_hosts: str | None = None
    safe: bool = False
    """Whether it is a repository of another user on this machine that the user told git is safe."""
    reaches: Reaches = ()
    elsewhere: bool = False
    """Whether boxes may be on another machine, whose network may reach what this one does not."""
    listings: RemoteListings = field(default_factory=RemoteListings, compare=False)
    """Shared by all runs of this process."""

    def on_host(self, directory: str) -> Remote:
        """Return the remote as git on this machine reaches it. directory: a private one, for its files. Raises GitError and OSError."""
        ssh = None
        if self.known_hosts is not None:
            ssh = Ssh(agent=str(self.ssh_agent) if self.ssh_agent else None, known_hosts=self.known_hosts)
        header = self.header.get_secret_value() if self.header else None
        return Remote(self.host_url, ca=self.ca, ssh=ssh, header=header, directory=directory, safe=self.safe)

    @property
    def request(self) -> dict[str, JsonValue]:
        """The fields that every request to the remote begins with."""
        ssh: JsonValue = None
        if self.known_hosts is not None:
            ssh = {"agent": SSH_AGENT if self.ssh_agent else None, "known_hosts": self.known_hosts}
        return {"remote": self.url, "ca": self.ca, "ssh": ssh, **({"safe": True} if self.safe else {})}

    @property
    def secrets(self) -> dict[str, SecretStr]:
        """The credential, by environment name."""
        return {GIT_HEADER: self.header} if self.header else {}

    @property
    def sockets(self) -> dict[str, Path]:
        """The sockets of the host that the step may use."""
        return {SSH_AGENT: self.ssh_agent} if self.ssh_agent else {}


@dataclass(frozen=True)
class CommandEnvironment:
    """What the settings give to the steps that run commands of the user or the agent."""

    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, SecretStr]] = field(default_factory=dict)
    """Step name -> environment name -> value."""
    services: Sequence[ServiceContainer] = ()
    """Fresh service containers beside agent and verify."""
    egress: Egress = field(default_factory=Egress)
    """Which hosts they may reach."""

    def secrets_for(self, step: str) -> dict[str, SecretStr]:
        """Return the user's secrets for one step."""
        return dict(self.secrets.get(step, {}))


@dataclass(frozen=True)
class CommitOptions:
    """How the commit is made. Limits: the largest new file, and the sum of all new files, in bytes."""

    author: str
    max_file_bytes: int = MAX_FILE_BYTES
    max_total_bytes: int = MAX_TOTAL_BYTES


class StartupSlots(Protocol):
    """Limits how many agents start up at once."""

    def starting(self) -> AbstractAsyncContextManager[Callable[[], None]]:
        """Wait for a slot. Calling what is yielded reports that the agent is up and frees the slot, as leaving does."""
        ...


@dataclass(frozen=True)
class AgentLaunch:
    """The agent and how it is started."""

    agent: Agent
    command: Command
    session_id: str
    """The conversation that it begins or goes on with."""
    home: HomeFiles
    sockets: Path
    """A private directory with a short path for the control socket."""
    startup: StartupSlots
    reaches: Reaches = ()
    checkpoint_seconds: float = 120.0
    """How often a checkpoint is made of an agent whose box does not outlive the host."""
    ends_with_login: bool = False
    """Whether its time limit is a shorter one than wanted, because its login ends."""
    gateway: GatewayAccess | None = None
    """How it reaches the API; None = it has the login, or needs none."""
    run_pass: RunPass | None = None
    """What its box gets in place of the login, once the gateway has admitted it."""

    def with_pass(self, access: GatewayAccess, run_pass: RunPass) -> "AgentLaunch":
        """Return the launch of the same agent with its pass where a login would be."""
        secrets = {**self.command.secrets, access.login.variable: run_pass.token}
        return replace(self, command=replace(self.command, secrets=secrets), run_pass=run_pass)


class RunOutput:
    """Cleans everything that a run's boxes print or leave behind; its one masker knows all secrets of the run."""

    def __init__(self, masker: Masker, recorder: Recorder) -> None:
        self._masker = masker
        self._recorder = recorder
        self._cleaners: WeakSet[Cleaner] = WeakSet()

    def pipeline(self, parser: StreamParser | None = None) -> OutputPipeline:
        """Return a pipeline into the record for one step. parser: reads its stdout as an agent's stream."""
        archive = self._recorder.archive if parser else None
        return OutputPipeline(
            self.cleaner(), self._recorder.emit_clean, later=self._recorder.loop.call_later, parser=parser, archive=archive
        )

    def mask(self, secrets: Iterable[tuple[str, SecretStr]]) -> None:
        """Mask more secrets, by name, in everything that is cleaned from now on, by cleaners that are in use already, too."""
        named = [(name, value.get_secret_value()) for name, value in secrets]
        remember(named)
        self._masker = self._masker.knowing(named)
        for cleaner in self._cleaners:
            cleaner.masker = self._masker

    def cleaner(self) -> Cleaner:
        """Return a cleaner for texts that do not come as frames."""
        cleaner = Cleaner(self._masker)
        self._cleaners.add(cleaner)
        return cleaner

    def painted(self, patch: bytes) -> bytes:
        """Return a patch with secrets masked. Blocks."""
        return painted(patch, masked_spans(self._masker, patch))

    def secrets_in(self, path: Path) -> frozenset[str]:
        """Return the names of the registered secrets in a file; none if it does not exist. Blocks. Raises OSError.

        A pass does not count: it is void by the time that somebody else reads the file.
        """
        return secrets_in_file(self._masker, path) - {PASS_NAME}

    def write_masks(self, work: Work) -> None:
        """Write down, beside a run's work, where it holds secrets, for those who show it. Blocks. Raises OSError."""
        write_masks(work.directory, self._masker, [shown(change.raw) for change in work.listed])


@dataclass(frozen=True)
class WorkContext:
    """What it takes to commit, judge and keep a run's work: no agent, no remote, no command of the user."""

    task: Task
    output: RunOutput
    commit: CommitOptions
    limits: PolicyLimits
    working_copy: WorkingCopy | None = None
    """The working copy of a testing run."""
    unscanned: tuple[str, ...] = ()
    """Secrets of the run that could not be read, so that its work cannot be searched for them."""


@dataclass(frozen=True)
class RunContext:
    """Everything that a run takes from its first step to its last."""

    work: WorkContext
    remote: RemoteAccess
    commands: CommandEnvironment
    launch: AgentLaunch
    manifest: Manifest
    earlier: Continuation = NOTHING_EARLIER
    """What it takes over from the run that it continues."""
    warnings: tuple[str, ...] = ()
    """What its user should know before it starts."""


@dataclass(frozen=True)
class DeliveryContext:
    """What it takes to push kept work."""

    work: WorkContext
    remote: RemoteAccess
