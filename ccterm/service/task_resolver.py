"""From a draft to a task that can run: everything filled in from the settings, or one clear refusal before anything starts."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ccterm.agents.base import Agent, Launch, agent_by_name
from ccterm.agents.claude import ClaudeAgent
from ccterm.credentials.claude import Logins
from ccterm.credentials.provider import provider_switch, provider_variables
from ccterm.draft import BatchFile, Draft, starting_directory
from ccterm.errors import PreflightError, UsageError
from ccterm.executors.local.environment import left_out
from ccterm.models import ExecutionMode, Mode, Task
from ccterm.remotes import RemoteAddress
from ccterm.settings import Project, ProjectSettings, RepoSettings, Settings, Trust, load_project
from ccterm.settings.egress import login_place, resolved, within
from ccterm.settings.load import source_variables
from ccterm.values import NO_ISOLATION, NOT_PASSED_ON, CheckoutOptions, Egress, Limits, LoginPlace
from ccterm.workspace.logins import require_not_home
from ccterm.workspace.origin import find_origin
from ccterm.workspace.repository import find_repository

NEED_TRUST = ("setup", "verify", "agent_args", "skip_permissions")
"""Fields of a task by which a batch file could run a command on this machine, or let the agent run it."""

_MOST_NAMES = 3
_NO_READING = "take git_read of this repository out of the settings"


class TaskResolver:
    """Makes tasks of drafts. trust: the files that the user trusts. names: all variables that the user has; None = those of environ."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        agents: Mapping[str, Agent],
        trust: Trust,
        logins: Logins,
        *,
        names: Collection[str] | None = None,
    ) -> None:
        self._names = environ if names is None else names
        self._settings = settings
        self._environ = environ
        self._agents = agents
        self._trust = trust
        self._logins = logins

    def resolve(self, draft: Draft, source: BatchFile | None = None) -> Task:
        """Return the task. source: the batch file that it is from. Raises UsageError (and its children) or PreflightError for what is wrong with it.

        What this machine lacks is another question, which `require_able` asks once nothing is wrong with any task.
        """
        execution_mode = draft.execution_mode or self._settings.execution_mode
        if source and execution_mode is ExecutionMode.LOCAL:
            self._require_trust(draft, source)
        agent_by_name(draft.agent or self._settings.agent, self._agents)
        return self._for_branch(draft, execution_mode, source) if draft.branch else self._for_working_copy(draft, execution_mode, source)

    def require_able(self, task: Task) -> None:
        """Refuse now what the agent would refuse later, a missing program or an argument, and an agent without a login. Raises as `resolve` does."""
        agent = agent_by_name(task.agent, self._agents)
        agent.command(Launch(session_id="", execution_mode=task.execution_mode, agent_args=task.agent_args))
        if task.agent == ClaudeAgent.name and task.execution_mode is ExecutionMode.DAGGER:
            self._logins.login_for(task.execution_mode, self._environ)

    def _for_branch(self, draft: Draft, execution_mode: ExecutionMode, source: BatchFile | None) -> Task:
        origin = find_origin(draft.repo or ".", self._environ, starting_directory())
        self._refuse_execution_mode(execution_mode, origin.remote, draft.agent or self._settings.agent)
        repo = self._settings.for_repo(origin.remote.url_key)
        self._require_trust_of_network(draft, source, repo)
        project = self._project(origin.root) if origin.root else None
        task = self._task(draft, execution_mode, repo, project, notes=[origin.sentence] if origin.sentence else [])
        where = {"repo": origin.repo, "remote": origin.remote.url, "remote_key": origin.remote.url_key, "branch": draft.branch}
        base = {"base": draft.base or (project and project.settings.base) or repo.base, "base_given": draft.base is not None}
        more = {"checkout": repo.checkout(origin.remote.url_key), "allow_default_branch": bool(draft.allow_default_branch)}
        return task.model_copy(update={**where, **base, **more})

    def _for_working_copy(self, draft: Draft, execution_mode: ExecutionMode, source: BatchFile | None) -> Task:
        if draft.base:
            raise UsageError("without a branch a run starts from the working copy as it is", "leave out --base, or give --branch")
        copy = find_repository(draft.repo or ".", self._environ, starting_directory())
        copy.require_rest()
        require_not_home(copy.root, self._environ, draft.allow_path or ())
        self._refuse_execution_mode(execution_mode, None, draft.agent or self._settings.agent)
        repo, project = self._settings.for_repo(copy.key), self._project(copy.root)
        self._require_trust_of_network(draft, source, repo)
        when = "once you approve them" if not draft.apply else "unless a rule refuses them"
        notes = [f"changes come back into {copy.root} {when}", *([project.include_note] if project.include_note else [])]
        task = self._task(draft, execution_mode, repo, project, notes=notes)
        return task.model_copy(
            update={
                "repo": str(copy.root),
                "mode": Mode.TESTING,
                "yes": bool(draft.apply),
                "include": project.include,
                "checkout": CheckoutOptions(),
            }
        )

    def _task(
        self, draft: Draft, execution_mode: ExecutionMode, repo: RepoSettings, project: Project | None, *, notes: Sequence[str]
    ) -> Task:
        own = project.settings if project else ProjectSettings()
        setup, verify = draft.setup or own.setup or repo.setup, draft.verify or own.verify or repo.verify
        missed = self._missed(execution_mode, [command for command in (setup, verify) if command])
        skip_permissions = bool(draft.skip_permissions) or self._settings.skip_permissions
        egress = resolved(repo.egress if draft.egress is None else draft.egress)
        limits = _limits(draft, repo)
        login, stays = self._login(draft, execution_mode, egress, limits, repo.git_read)
        return Task(
            prompt=draft.task,
            repo="",
            execution_mode=execution_mode,
            agent=draft.agent or self._settings.agent,
            model=draft.model or own.model or repo.model,
            agent_args=draft.agent_args or (),
            message=draft.message,
            limits=limits,
            setup=setup,
            setup_inputs=repo.setup_inputs,
            verify=verify,
            image=repo.image_choice(),
            hold=bool(draft.hold),
            skip_permissions=skip_permissions,
            login=login,
            egress=egress,
            git_read=repo.git_read,
            ask_permission=(draft.permissions or self._settings.permissions) == "ask",
            allow=draft.allow,
            obeyed_settings=_obeyed(execution_mode, repo, project),
            notes=(
                *_warnings(execution_mode, skip_permissions=skip_permissions),
                *self._handed_out(),
                *readable_notes(repo.git_read),
                *stays,
                *missed,
                *notes,
            ),
        )

    def _login(
        self, draft: Draft, execution_mode: ExecutionMode, egress: Egress, limits: Limits, git_read: Sequence[str]
    ) -> tuple[LoginPlace, Sequence[str]]:
        """Return where the login of a run is, and a line about it. Raises PreflightError where the network cannot be as the task says."""
        if execution_mode is ExecutionMode.LOCAL and egress.mode != "open":
            raise PreflightError(
                "hosts are recorded and limited in containers alone; on this machine an agent reaches what you reach",
                "use --mode dagger, or give --egress open",
            )
        given = draft.login or self._settings.login
        if (draft.agent or self._settings.agent) != ClaudeAgent.name:
            if git_read:
                raise PreflightError(
                    "repositories are read through the gateway, which serves Claude alone", f"{_NO_READING}, or use --agent claude"
                )
            return login_place(given, egress, execution_mode), ()
        provider = provider_switch(self._environ)
        if egress.mode == "list" and (provider or given == "secret"):
            raise PreflightError(
                "with a list of hosts the Claude login stays outside of the box, "
                + (f"and that of {provider} has to be inside" if provider else "and this run would have it inside"),
                "give --egress open or record" + ("" if provider else ", or --login gateway"),
            )
        needs = {
            "the gateway counts an agent's tokens": "leave out max_tokens" if limits.max_tokens else "",
            "the gateway reads repositories for an agent": _NO_READING if git_read else "",
        }
        for what, without in needs.items():
            if without and (provider or given == "secret"):
                raise PreflightError(
                    f"{what}, and " + (f"the login of {provider} cannot be there" if provider else "the login would be in the box instead"),
                    without + ("" if provider else ", or give --login gateway"),
                )
        if provider:
            said = f"the login of {provider} is in the box: the gateway keeps Anthropic's own alone"
            return "secret", [said] if login_place(given, egress, execution_mode) == "gateway" else ()
        return login_place(given, egress, execution_mode, needed=any(needs.values())), ()

    def _handed_out(self) -> Sequence[str]:
        """Return a line about the user's secrets that the agent gets."""
        names = [name for name, secret in self._settings.secrets.items() if "agent" in secret.steps]
        return [f"the agent gets and can read your secrets {', '.join(names)} ([secrets] in the settings)"] if names else []

    def _missed(self, execution_mode: ExecutionMode, commands: Sequence[str]) -> Sequence[str]:
        """Return a line about the user's variables that a command on this machine may miss."""
        if execution_mode is not ExecutionMode.LOCAL:
            return []
        settings = self._settings
        given = {*settings.pass_env, *settings.env, *settings.secrets, *source_variables(settings), *provider_variables(self._environ)}
        names = left_out(self._names, given, commands)
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        text = f"{NOT_PASSED_ON}{', '.join(names[:_MOST_NAMES])}{more}; pass_env in the settings passes variables on"
        return [text] if names else []

    def _project(self, working_copy: Path) -> Project:
        """Return what a working copy says for itself, whose commands would run on this machine, if the user trusts them."""
        project = load_project(working_copy, self._trust)
        project.require_trust()
        return project

    def _require_trust(self, draft: Draft, source: BatchFile) -> None:
        """Refuse what would run something on this machine, or permit it, and is from a file that the user does not trust."""
        found = [name for name in NEED_TRUST if getattr(draft, name)]
        if found and self._trust.digest(Path(source.path)) != source.digest:
            raise UsageError(
                f"{source.path} sets {' and '.join(found)} for runs on this machine and is new or has changed",
                f"read it, then run ccterm trust {shlex.quote(source.path)}; or use --mode dagger",
            )

    def _require_trust_of_network(self, draft: Draft, source: BatchFile | None, repo: RepoSettings) -> None:
        """Refuse a batch file that the user does not trust and that lets an agent reach, or hold, more than the settings do."""
        if source is None:
            return
        allowed = resolved(repo.egress)
        found = ["egress"] if draft.egress is not None and not within(resolved(draft.egress), allowed) else []
        usual = login_place(self._settings.login, allowed, draft.execution_mode or self._settings.execution_mode)
        found += ["login"] if draft.login == "secret" and usual == "gateway" else []
        if found and self._trust.digest(Path(source.path)) != source.digest:
            raise UsageError(
                f"{source.path} sets {' and '.join(found)} to more than your settings allow and is new or has changed",
                f"read it, then run ccterm trust {shlex.quote(source.path)}",
            )

    def _refuse_execution_mode(self, execution_mode: ExecutionMode, remote: RemoteAddress | None, agent: str) -> None:
        """Refuse now what the executor would refuse later."""
        if execution_mode is ExecutionMode.LOCAL:
            if self._settings.services:
                raise PreflightError("services need containers", "use --mode dagger, or take [services] out of the settings")
            if agent == ClaudeAgent.name:
                provider_switch(self._environ)
            return
        if remote and remote.kind == "path":
            raise PreflightError(f"a container cannot reach the path {remote.display}", "give a URL, or use --mode local")


def _obeyed(execution_mode: ExecutionMode, repo: RepoSettings, project: Project | None) -> str:
    """Return which agent settings of the repository act: in a container by the user's choice, on this machine by their content alone."""
    if execution_mode is ExecutionMode.DAGGER and repo.claude_settings:
        return "*"
    return project.agent_settings if project else ""


def readable_notes(git_read: Sequence[str]) -> Sequence[str]:
    """Return a line about the repositories that an agent may read."""
    return [f"the agent may read {', '.join(git_read)} by git, with your access (git_read in the settings)"] if git_read else []


def _warnings(execution_mode: ExecutionMode, *, skip_permissions: bool) -> Sequence[str]:
    """Return what the user must know about an execution mode."""
    if execution_mode is not ExecutionMode.LOCAL:
        return []
    more = ["permissions are skipped: the agent may do everything that you may do"] if skip_permissions else []
    return [NO_ISOLATION, *more]


def _limits(draft: Draft, repo: RepoSettings) -> Limits:
    limits = repo.limits()
    given = {
        "wall_seconds": draft.timeout.total_seconds() if draft.timeout else None,
        "silence_seconds": draft.silence.total_seconds() if draft.silence else None,
        "budget_usd": draft.budget,
        "max_turns": draft.max_turns,
        "max_tokens": draft.max_tokens,
    }
    return limits.model_copy(update={name: value for name, value in given.items() if value is not None})
