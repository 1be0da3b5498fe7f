"""Makes the contexts of runs: from a task, the settings and the environment to what a run, a recovery or a delivery needs."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from ccterm.agents.base import Agent, Launch, agent_by_name
from ccterm.agents.claude import ClaudeAgent
from ccterm.agents.shell_agent import ShellAgent
from ccterm.causes import Cause
from ccterm.credentials.api_address import require_listening
from ccterm.credentials.claude import Logins
from ccterm.credentials.git import GitAccess, GitCredential, authority, git_access
from ccterm.credentials.login import TOKEN_NAME, Login
from ccterm.credentials.sources import plain_variables
from ccterm.errors import PreflightError, StepError
from ccterm.executors.base import Executor, ServiceContainer
from ccterm.gateway.client import GitReading
from ccterm.models import ExecutionMode, Manifest, Mode, Run, RunId, Task, now
from ccterm.output.mask import Masker
from ccterm.pipeline.agent_home import HomeFiles
from ccterm.pipeline.context import (
    AgentLaunch,
    CommandEnvironment,
    CommitOptions,
    DeliveryContext,
    Reaches,
    RemoteAccess,
    RunContext,
    RunOutput,
    StartupSlots,
    WorkContext,
)
from ccterm.pipeline.continuation import NOTHING_EARLIER, Continuation
from ccterm.pipeline.gateway_access import Gatekeeper, GatewayAccess
from ccterm.pipeline.judgement import policy_limits
from ccterm.pipeline.remote_listings import RemoteListings
from ccterm.pipeline.run_credentials import KnownSecrets, RunCredentials
from ccterm.pipeline.working_copy import WorkingCopy
from ccterm.record import Recorder
from ccterm.remotes import is_loopback, parse_remote
from ccterm.settings import Settings
from ccterm.state_dir import StateDir
from ccterm.workspace.origin import is_safe_for_user

_OTHER_LOGIN = "use a login of the Claude API, or take git_read of this repository out of the settings"


class RunContextFactory:
    """Makes the contexts of runs on one executor. Its methods block: credentials are read here, once per context.

    sockets: a private directory with a short path for control sockets.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        logins: Logins,
        agents: Mapping[str, Agent],
        executor: Executor,
        startup: StartupSlots,
        sockets: Path,
        state: StateDir,
        listings: RemoteListings | None = None,
        leased: Callable[[RunId, Login], None] = lambda *_: None,
        keeper: Gatekeeper | None = None,
    ) -> None:
        """Take what runs need. listings: what remotes answered. leased: is told which login a run starts with, in the thread that asks.

        keeper: lets agents use the gateway; None = there is none, and every login goes into its box.
        """
        self._settings = settings
        self._environ = environ
        self._logins = logins
        self._agents = agents
        self._executor = executor
        self._startup = startup
        self._sockets = sockets
        self._state = state
        self._listings = listings or RemoteListings()
        self._leased = leased
        self._keeper = keeper

    async def require_api(self, task: Task) -> None:
        """Raise PreflightError if the agent of a task would find nobody at the API's address on this machine."""
        if task.agent == ClaudeAgent.name:
            await require_listening(self._settings.base_url)

    def for_run(self, run: Run, recorder: Recorder, earlier: Continuation = NOTHING_EARLIER) -> RunContext:
        """Return what a run needs from its first step to its last. Raises CctermError if a credential, a program or the conversation is missing."""
        task = run.task
        agent = agent_by_name(task.agent, self._agents)
        if task.terminal:
            agent = ShellAgent(agent, task.terminal)
        credentials = RunCredentials.resolve(task, self._settings, self._environ, self._logins)
        if credentials.login:
            self._leased(run.id, credentials.login)
        gateway = self._gateway(task, credentials)
        task, shortened = _within_login(task, credentials.login) if gateway is None else (task, "")
        return RunContext(
            work=self._work(run.model_copy(update={"task": task}), recorder, credentials.masker()),
            remote=self._remote(credentials.git, task),
            commands=CommandEnvironment(
                env=plain_variables(self._settings, self._environ),
                secrets=credentials.user,
                services=self._services(),
                egress=task.egress,
            ),
            launch=replace(self._launch(task, agent, credentials.login, earlier, gateway), ends_with_login=bool(shortened)),
            earlier=earlier,
            manifest=Manifest(
                executor=task.execution_mode,
                settings_hash=self._settings.settings_hash,
                egress=task.egress.text,
                login="gateway" if gateway else "secret",
                credential=credentials.login.kind if credentials.login else "none",
                skip_permissions=task.skip_permissions,
                masked=credentials.names,
            ),
            warnings=tuple(filter(None, (shortened, _stays_in_the_box(task, credentials.login)))),
        )

    def for_recovery(self, run: Run, recorder: Recorder) -> WorkContext:
        """Return what it takes to commit, judge and keep the work of a run that has ended; no credential has to be there for it."""
        known = KnownSecrets.read(run, self._settings, self._environ, self._logins)
        return self._work(run, recorder, known.masker(), unscanned=known.missing)

    def for_delivery(self, run: Run, recorder: Recorder) -> DeliveryContext:
        """Return what it takes to push a run's kept work. Raises CctermError if a credential is missing."""
        git = git_access(parse_remote(run.task.remote or run.task.repo), self._settings, self._environ)
        return DeliveryContext(self.for_recovery(run, recorder), self._remote(git, run.task))

    def _work(self, run: Run, recorder: Recorder, masker: Masker, *, unscanned: Sequence[str] = ()) -> WorkContext:
        policy = self._settings.policy
        return WorkContext(
            task=run.task,
            output=RunOutput(masker, recorder),
            commit=CommitOptions(self._settings.author, policy.max_file_mb << 20, policy.max_total_mb << 20),
            limits=policy_limits(policy, run.task.allow),
            working_copy=self._working_copy(run),
            unscanned=tuple(unscanned),
        )

    def _working_copy(self, run: Run) -> WorkingCopy | None:
        if run.task.mode is not Mode.TESTING:
            return None
        cap = self._settings.policy.max_file_mb << 20
        return WorkingCopy(run.task, self._state, self._environ, cap, self._state.snapshot(run.id))

    def _gateway(self, task: Task, credentials: RunCredentials) -> GatewayAccess | None:
        """Return how the agent reaches the API without having its login; None where it has it, or needs none."""
        login = credentials.login
        if self._keeper is None or task.login != "gateway" or login is None or login.value is None:
            if task.git_read:  # the user's login is another one than when the task was submitted
                raise PreflightError(
                    f"the agent was to read {task.git_read[0]} through the gateway, which cannot keep its login", _OTHER_LOGIN
                )
            return None
        git = self._reading(credentials.reading) if credentials.reading else None
        return GatewayAccess(self._keeper, login, self._environ, self._settings.base_url, task.limits.max_tokens, git)

    def _reading(self, credentials: Mapping[str, GitCredential]) -> GitReading:
        """Return what an agent may read. Raises SettingsError."""
        pems = {each.remote.host_key: authority(each.remote, self._settings) for each in credentials.values()}
        logins = {name: each.authorization for name, each in credentials.items()}
        return GitReading(logins, {host: pem for host, pem in pems.items() if pem})

    def _launch(self, task: Task, agent: Agent, login: Login | None, earlier: Continuation, gateway: GatewayAccess | None) -> AgentLaunch:
        base_url, reaches = self._api() if gateway is None else (gateway.base_url, ())
        launch = Launch(
            session_id=earlier.session_id or str(uuid.uuid4()),
            resume=earlier.session_id is not None,
            execution_mode=task.execution_mode,
            model=task.model,
            agent_args=task.agent_args,
            limits=task.limits,
            skip_permissions=task.skip_permissions,
            ask=task.ask_permission,
            token=login.value if login and gateway is None else None,
            gateway=gateway is not None,
            token_name=login.variable if login else TOKEN_NAME,
            variables=login.variables if login else {},
            secret_variables=login.secret_variables if login else {},
            base_url=base_url,
            no_proxy=self._environ.get("no_proxy") or self._environ.get("NO_PROXY") or "",
            mcp=self._settings.mcp is not None,
        )
        command, own = agent.command(launch), Path(self._environ.get("HOME", "/")) / ".claude"
        home = HomeFiles(own, self._settings.home, self._settings.mcp, earlier.placed(own, private_home=command.private_home))
        every = self._settings.checkpoint.total_seconds()
        return AgentLaunch(agent, command, launch.session_id, home, self._sockets, self._startup, reaches, every, gateway=gateway)

    def _services(self) -> tuple[ServiceContainer, ...]:
        return tuple(
            ServiceContainer(alias=name, image=each.image, port=each.port, env=each.env, ready=each.ready)
            for name, each in self._settings.services.items()
        )

    def _api(self) -> tuple[str | None, Reaches]:
        """Return the base URL of the Claude API as a box sees it, and the loopback service that it needs for that."""
        url = self._settings.base_url
        parts = urlsplit(url or "")
        if not url or not parts.hostname or not is_loopback(parts.hostname):
            return url, ()
        return self._from_boxes(url, parts.scheme, parts.hostname, parts.port, parts.path)

    def _remote(self, git: GitAccess, task: Task) -> RemoteAccess:
        remote, url, reaches = git.remote, git.remote.url, Reaches()
        if remote.kind in ("http", "https") and is_loopback(remote.host):
            url, reaches = self._from_boxes(url, remote.kind, remote.host, remote.port, remote.path)
        return RemoteAccess(
            url=url,
            host_url=remote.url,
            mirror_key="" if remote.kind == "path" else remote.cache_name,
            header=git.header,
            ca=git.ca,
            ssh_agent=git.ssh_agent,
            known_hosts=git.known_hosts,
            safe=remote.kind == "path" and is_safe_for_user(Path(remote.url), self._environ),
            reaches=reaches,
            elsewhere=task.execution_mode is not ExecutionMode.LOCAL,
            listings=self._listings,
        )

    def _from_boxes(self, url: str, scheme: str, host: str, port: int | None, path: str) -> tuple[str, Reaches]:
        """Return a loopback URL as a box sees it, and the loopback service that it needs for that."""
        port = port or (443 if scheme == "https" else 80)
        seen = self._executor.address(host, port)
        return (url if seen == (host, port) else f"{scheme}://{seen[0]}:{seen[1]}{path}"), ((host, port),)


def _stays_in_the_box(task: Task, login: Login | None) -> str:
    """Return a sentence about a login that the gateway cannot keep, or ""."""
    if task.login != "gateway" or login is None or login.kind != "provider":
        return ""
    return f"the login of another cloud ({login.source}) is a secret in the box: the gateway keeps logins of the Claude API alone"


def _within_login(task: Task, login: Login | None) -> tuple[Task, str]:
    """Return the task with a time limit that its login outlives, and a sentence about it if that is a shorter one.

    Raises StepError(auth) when there is no time left: a gate holds such runs, but the login may have changed since.
    """
    time = login.time_for_run(now()) if login else None
    if login is None or time is None or time.total_seconds() >= task.limits.wall_seconds:
        return task, ""
    ends = f"{login.expires_at.astimezone():%H:%M}" if login.expires_at else ""
    if time <= timedelta():
        raise StepError(Cause.AUTH, f"the Claude login ({login.source}) ends at {ends}", "run claude once, or ccterm auth setup")
    minutes = max(1, int(time.total_seconds() / 60))
    words = f"time limit {minutes} min instead of {task.limits.wall_seconds / 60:.0f}: the Claude login ends at {ends}"
    limits = task.limits.model_copy(update={"wall_seconds": time.total_seconds()})
    return task.model_copy(update={"limits": limits}), words
