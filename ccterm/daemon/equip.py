"""From the environment of a caller to everything that its runs need: settings read again, agents, executors, pipelines."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from weakref import WeakValueDictionary

from ccterm.agents.base import Agent, ScriptedAgent
from ccterm.agents.claude import ClaudeAgent
from ccterm.credentials.claude import Logins, looked_up_as
from ccterm.credentials.git import GITHUB_NAMES
from ccterm.credentials.login import Login
from ccterm.credentials.login_probe import prove
from ccterm.daemon.executors import Executors
from ccterm.draft import starting_directory
from ccterm.errors import PreflightError
from ccterm.executors.base import Check, Executor
from ccterm.models import ExecutionMode, Task
from ccterm.pipeline.branch_planner import BranchPlanner
from ccterm.pipeline.change_applier import ChangeApplier
from ccterm.pipeline.context_factory import RunContextFactory
from ccterm.pipeline.gateway_access import Gatekeeper
from ccterm.pipeline.pipeline import Pipeline
from ccterm.pipeline.remote_checks import remote_checks
from ccterm.pipeline.remote_listings import RemoteListings
from ccterm.pipeline.run_credentials import RunCredentials
from ccterm.preflight import core_checks
from ccterm.service.caller import CallerEnvironment
from ccterm.service.credential_gate import AgentLogin, CredentialGate
from ccterm.service.equipment import Equipment
from ccterm.service.scheduler import StartupLimit
from ccterm.service.task_resolver import TaskResolver
from ccterm.settings import Settings, Trust, load_settings
from ccterm.state_dir import StateDir


class Equipper:
    """Makes the equipment for environments; what does not depend on them is shared. sockets: a private directory with a short path."""

    def __init__(
        self,
        state: StateDir,
        environ: Mapping[str, str],
        *,
        executors: Executors,
        credentials: CredentialGate,
        sockets: Path,
        keeper: Gatekeeper | None = None,
    ) -> None:
        self._state, self._environ, self._executors, self._credentials, self._sockets = state, environ, executors, credentials, sockets
        self._keeper = keeper
        self._startup, self._listings = StartupLimit(), RemoteListings()
        self._logins = {api_key: Logins(api_key=api_key) for api_key in (False, True)}
        self._shared: WeakValueDictionary[object, AgentLogin] = WeakValueDictionary()

    async def equip(self, caller: CallerEnvironment | None) -> Equipment:
        """Return what the environment of a caller comes to; None = this process's own, as it is now. Raises SettingsError."""
        known, environ, settings = await asyncio.to_thread(self._read, caller)
        executors = await self._executors.of(settings, environ)
        agents, logins = agents_of(settings, environ), self._logins[settings.api_key]
        resolver = TaskResolver(settings, environ, agents, Trust(self._state.path), logins, names=known.names)
        return Equipment(
            caller=known,
            settings=settings,
            resolve=resolver.resolve,
            require_able=resolver.require_able,
            branches=BranchPlanner(settings, environ, self._listings),
            executors=executors,
            pipelines={mode: self._pipeline(executor, settings, environ, agents) for mode, executor in executors.items()},
            applier=ChangeApplier(self._state, settings.policy, environ),
            login=partial(self._login, known, settings, environ),
            forget_logins=logins.forget,
            questions=partial(questions, settings, self._state, environ, executors, logins),
        )

    def _read(self, caller: CallerEnvironment | None) -> tuple[CallerEnvironment, Mapping[str, str], Settings]:
        if caller is None:
            own = dict(self._environ)
            settings = load_settings(None, own)
            return CallerEnvironment.of(own, settings), own, settings
        environ = caller.over(self._environ)
        return caller, environ, load_settings(None, environ)

    def _pipeline(self, executor: Executor, settings: Settings, environ: Mapping[str, str], agents: Mapping[str, Agent]) -> Pipeline:
        contexts = RunContextFactory(
            settings,
            environ,
            logins=self._logins[settings.api_key],
            agents=agents,
            executor=executor,
            startup=self._startup,
            sockets=self._sockets,
            state=self._state,
            listings=self._listings,
            leased=self._credentials.leased,
            keeper=self._keeper,
        )
        return Pipeline(executor, contexts, self._state)

    def _login(self, caller: CallerEnvironment, settings: Settings, environ: Mapping[str, str], task: Task) -> AgentLogin | None:
        """Return the login of a task's agent, the same one for all tasks that would get the same."""
        logins, mode = self._logins[settings.api_key], looked_up_as(task.execution_mode, environ, task.login)
        make = partial(AgentLogin, prove=partial(prove, base_url=settings.base_url), through_gateway=task.login == "gateway")
        if caller.missing:
            return make(lambda _: _with_all_secrets(caller, task, settings, environ, logins))
        if task.agent != ClaudeAgent.name:
            return None
        key = (settings.api_key, settings.base_url, task.login, logins.key(mode, environ))
        if (known := self._shared.get(key)) is None:
            known = self._shared[key] = make(lambda anew: logins.login_for(mode, environ, anew=anew))
        return known


def _with_all_secrets(
    caller: CallerEnvironment, task: Task, settings: Settings, environ: Mapping[str, str], logins: Logins
) -> Login | None:
    """Return the login of a task some of whose secrets were lost, if it can do without them. Raises CctermError."""
    found = RunCredentials.resolve(task, settings, environ, logins)
    lost = [name for name in caller.missing if name in GITHUB_NAMES]
    if lost and found.git.header is None and found.git.remote.kind == "https":
        raise PreflightError(f"{lost[0]}, with which it was submitted, is lost", f"submit anything from a terminal that has {lost[0]}")
    return found.login


def agents_of(settings: Settings, environ: Mapping[str, str]) -> Mapping[str, Agent]:
    """Return the agents by name."""
    home = Path(environ.get("HOME", "/"))
    claude = ClaudeAgent(settings.claude_bin, path=environ.get("PATH"), user_settings=home / ".claude" / "settings.json")
    return {agent.name: agent for agent in (claude, ScriptedAgent())}


def questions(
    settings: Settings,
    state: StateDir,
    environ: Mapping[str, str],
    executors: Mapping[ExecutionMode, Executor],
    logins: Logins | None,
    execution_mode: ExecutionMode | None,
    repo: str | None,
    branch: str | None,
    here: str | None = None,
) -> Sequence[Check]:
    """Return the preflight checks of an execution mode; None = the one that the settings choose. repo, branch: their remote is checked, too.

    here: whose network is told where no repo is named; None = the current directory. Raises BranchError.
    """
    chosen = execution_mode or settings.execution_mode
    of_remote = remote_checks(repo or ".", branch, settings, environ, starting_directory(), state) if repo or branch else ()
    return [*core_checks(settings, state, environ, chosen, logins, repo=repo or here or "."), *executors[chosen].checks(), *of_remote]
