"""What one run needs before its first step: credentials, masker, the agent's launch line. Secrets are read here, once, and registered."""

import asyncio
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from ccterm.agents.base import MCP_FILE, Agent, Launch, agent_by_name
from ccterm.agents.stream import StreamParser
from ccterm.causes import Cause
from ccterm.credentials.claude import ClaudeLogin, run_login
from ccterm.credentials.git import GitAccess, git_access
from ccterm.credentials.sources import user_secrets
from ccterm.errors import PreflightError, SettingsError, StepError, UsageError
from ccterm.executors.base import Executor, Service
from ccterm.executors.local.environment import looks_secret
from ccterm.models import Manifest, Mode, Run, Task, now
from ccterm.output.clean import Cleaner, copy_cleaned
from ccterm.output.mask import Masker
from ccterm.output.pipeline import OutputPipeline
from ccterm.pipeline.change_applier import measures_of
from ccterm.pipeline.context import RunContext
from ccterm.pipeline.step_specs import Access, Surroundings
from ccterm.pipeline.working_copy import WorkingCopy
from ccterm.record import Recorder
from ccterm.remotes import Remote, is_loopback, parse_remote
from ccterm.settings import Settings
from ccterm.state_dir import StateDir
from ccterm.workspace.included import variables
from ccterm.workspace.repository import find_repository

STEPS_WITH_SECRETS = ("setup", "agent", "verify")
SCAN_CHUNK = 1024 * 1024
Gate = Callable[[], AbstractAsyncContextManager[Callable[[], None]]]


class RunContextFactory:
    """Makes kits. gate: limits how many agents start up at once. sockets: a short private directory for control sockets."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        agents: Mapping[str, Agent],
        executor: Executor,
        gate: Gate,
        sockets: Path,
        state: StateDir,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._agents = agents
        self._executor = executor
        self._gate = gate
        self._sockets = sockets
        self._state = state

    def __call__(self, run: Run, recorder: Recorder) -> RunContext:
        """Return the kit of one run. Blocks. Raises CctermError when a credential or a program cannot be had."""
        task = run.task
        agent = agent_by_name(task.agent, self._agents)
        remote = parse_remote(task.remote or task.repo)
        git = git_access(remote, self._settings, self._environ)
        login = self._login(task, recorder)
        secrets = {step: user_secrets(self._settings, step, self._environ) for step in STEPS_WITH_SECRETS}
        caps = self._settings.policy
        masker = Masker({**dict(self._included(task)), **dict(_registered(git, login, secrets))})
        base_url, reaches = self._api()
        launch = Launch(
            session_id=str(uuid.uuid4()),
            execution_mode=task.execution_mode,
            model=task.model,
            agent_args=task.agent_args,
            limits=task.limits,
            skip_permissions=task.skip_permissions,
            token=login.token if login else None,
            base_url=base_url,
            mcp=self._settings.mcp is not None,
        )
        loop = recorder.loop
        return RunContext(
            task=task,
            access=self._access(git),
            around=Surroundings(env=dict(self._settings.env), secrets=secrets, services=self._services()),
            agent=agent,
            command=agent.command(launch),
            author=self._settings.author,
            sockets=self._sockets,
            door=lambda parser: _door(masker, recorder, parser, loop),
            start_gate=self._gate,
            secret_names=lambda path: _found(masker, path),
            measures=measures_of(self._settings.policy, task.allow),
            caps=(caps.max_file_mb << 20, caps.max_total_mb << 20),
            copy=self._copy(run),
            keep_session=lambda raw, to: _keep(masker, raw, to),
            agent_reaches=reaches,
            home=HomeItems(Path(self._environ.get("HOME", "/")) / ".claude", self._settings.home, self._settings.mcp).fill,
            manifest=Manifest(
                executor=task.execution_mode,
                settings_hash=self._settings.settings_hash,
                credential=login.kind if login else "none",
                skip_permissions=task.skip_permissions,
            ),
        )

    def _login(self, task: Task, recorder: Recorder) -> ClaudeLogin | None:
        """Return the login of the agent's box; None: it uses the user's own. Raises StepError(auth), SettingsError."""
        if task.agent != "claude":
            return None
        try:
            login = run_login(task.execution_mode, self._environ)
        except PreflightError as error:
            raise StepError(Cause.AUTH, error.message, error.fix) from error
        if login.expires and (login.expires - now()).total_seconds() < task.limits.wall_seconds:
            recorder.notice(f"the Claude login ends at {login.expires.astimezone():%H:%M}, before this run's time limit", "warn")
        return login

    def _api(self) -> tuple[str | None, tuple[tuple[str, int], ...]]:
        """Return the base URL of the Claude API as a box sees it, and what must be let through for that."""
        url = self._settings.base_url
        parts = urlsplit(url or "")
        if not parts.hostname or not is_loopback(parts.hostname):
            return url, ()
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host, seen = self._executor.address(parts.hostname, port)
        return (url if host == parts.hostname else f"{parts.scheme}://{host}:{seen}{parts.path}"), ((parts.hostname, port),)

    def _services(self) -> tuple[Service, ...]:
        return tuple(
            Service(alias=name, image=each.image, port=each.port, env=each.env, ready=each.ready)
            for name, each in self._settings.services.items()
        )

    def _copy(self, run: Run) -> WorkingCopy | None:
        if run.task.mode is not Mode.TESTING:
            return None
        cap = self._settings.policy.max_file_mb << 20
        return WorkingCopy(run.task, self._state, self._environ, cap, self._state.snapshot(run.id))

    def _included(self, task: Task) -> Iterator[tuple[str, str]]:
        """Yield what looks like a secret in the ignored files that a snapshot takes along."""
        if task.mode is not Mode.TESTING:
            return
        try:
            repository = find_repository(task.repo, self._environ, Path(task.repo))
        except UsageError:
            return  # the snapshot says it, as the step that fails
        yield from ((name, value) for name, value in variables(repository, task.include, os.devnull) if looks_secret(name))

    def _access(self, git: GitAccess) -> Access:
        remote, reaches = git.remote, tuple[tuple[str, int], ...]()
        url = remote.url
        if remote.kind in ("http", "https") and is_loopback(remote.host):
            url, reaches = _reachable(remote, self._executor)
        return Access(
            url=url,
            mirror_key="" if remote.kind == "path" else remote.cache_name,
            header=git.header,
            ca=git.ca,
            ssh_agent=git.ssh_agent,
            known_hosts=git.known_hosts,
            reaches=reaches,
        )


def _reachable(remote: Remote, executor: Executor) -> tuple[str, tuple[tuple[str, int], ...]]:
    """Return a loopback remote as a box sees it, and what must be let through for that."""
    port = remote.port or (443 if remote.kind == "https" else 80)
    host, seen = executor.address(remote.host, port)
    if (host, seen) == (remote.host, port):
        return remote.url, ((remote.host, port),)
    return f"{remote.kind}://{host}:{seen}{remote.path}", ((remote.host, port),)


def _registered(git: GitAccess, login: ClaudeLogin | None, secrets: Mapping[str, Mapping[str, SecretStr]]) -> Iterator[tuple[str, str]]:
    """Yield every secret value of the run, by a name that may be shown."""
    for name, value in git.secrets.items():
        yield name, value.get_secret_value()
    if login and login.token:
        yield "the Claude login", login.token.get_secret_value()
    for values in secrets.values():
        for name, value in values.items():
            yield name, value.get_secret_value()


def _door(masker: Masker, recorder: Recorder, parser: StreamParser | None, loop: asyncio.AbstractEventLoop) -> OutputPipeline:
    archive = recorder.archive if parser else None
    return OutputPipeline(Cleaner(masker), recorder.emit, later=loop.call_later, parser=parser, archive=archive)


def _found(masker: Masker, path: Path) -> frozenset[str]:
    """Return which registered secrets stand in a file. Raises OSError."""
    if not path.exists():
        return frozenset()
    scan = masker.scan()
    with path.open("rb") as file:
        while chunk := file.read(SCAN_CHUNK):
            scan.feed(chunk)
    return scan.names


def _keep(masker: Masker, raw: Path, to: Path) -> None:
    """Copy a collected conversation, cleaned, and remove the raw one. Raises OSError."""
    try:
        for source in sorted(raw.glob("*.jsonl"))[:1]:
            to.unlink(missing_ok=True)
            copy_cleaned(Cleaner(masker), source, to)
    finally:
        shutil.rmtree(raw, ignore_errors=True)


class HomeItems:
    """Fills homes. source: the user's own ~/.claude. items: relative paths in it; those that are not there are left out."""

    def __init__(self, source: Path, items: Sequence[str], mcp: Path | None) -> None:
        self._source, self._items, self._mcp = source, items, mcp

    def fill(self, home: Path) -> bool:
        """Copy the items into a fresh directory; links are followed, as dotfiles are often linked. Returns whether there is anything.

        Raises SettingsError for what is there and cannot be read.
        """
        try:
            for item in self._items:
                _copy(self._source / item, home / ".claude" / item)
            if self._mcp:
                _copy(self._mcp, home / MCP_FILE)
        except OSError as error:
            raise SettingsError(f"{error.filename} cannot be read: {error.strerror}", "mend home or mcp in the settings") from error
        return home.is_dir()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copytree(source, target, symlinks=False, ignore_dangling_symlinks=True)
    elif source.is_file():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(source, target)
