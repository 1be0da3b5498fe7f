"""From a draft to a task that can run: everything filled in from the settings, or one clear refusal before anything starts."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ccterm.agents.base import Agent, Launch, agent_by_name
from ccterm.agents.claude import ClaudeAgent
from ccterm.credentials.claude import run_login
from ccterm.draft import Draft
from ccterm.errors import PreflightError, UsageError
from ccterm.models import CheckoutOptions, ExecutionMode, ImageChoice, Limits, Mode, Task
from ccterm.remotes import Remote
from ccterm.settings import Project, ProjectSettings, RepoSettings, Settings
from ccterm.workspace.origin import find_origin
from ccterm.workspace.repository import find_repository


class Planner:
    """Fills drafts in. `project` reads what a working copy says for itself."""

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], agents: Mapping[str, Agent], project: Callable[[Path], Project]
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._agents = agents
        self._project = project

    def plan(self, draft: Draft) -> Task:
        """Return the task. Raises UsageError (and its children) or PreflightError."""
        mode, skip = draft.mode or self._settings.mode, bool(draft.skip_permissions) or self._settings.skip_permissions
        self._refuse_agent(draft, mode)
        return self._for_branch(draft, mode, skip=skip) if draft.branch else self._for_working_copy(draft, mode, skip=skip)

    def _for_branch(self, draft: Draft, mode: ExecutionMode, *, skip: bool) -> Task:
        origin = find_origin(draft.repo or ".", self._environ, Path.cwd())
        self._refuse_place(mode, origin.remote, draft.agent or self._settings.agent)
        repo = self._settings.for_repo(origin.remote.url_key)
        project = self._trusted(origin.root) if origin.root else ProjectSettings()
        task = self._task(draft, mode, repo, project, skip=skip, notes=[origin.sentence] if origin.sentence else [])
        place = {"repo": origin.repo, "remote": origin.remote.url, "remote_key": origin.remote.url_key, "branch": draft.branch}
        base = {"base": draft.base or project.base or repo.base, "base_given": draft.base is not None}
        return task.model_copy(update={**place, **base, "allow_default_branch": bool(draft.allow_default_branch)})

    def _for_working_copy(self, draft: Draft, mode: ExecutionMode, *, skip: bool) -> Task:
        if draft.base:
            raise UsageError("without a branch a run begins with the working copy as it is", "leave out --base, or give --branch")
        copy = find_repository(draft.repo or ".", self._environ, Path.cwd())
        copy.require_rest()
        self._refuse_place(mode, None, draft.agent or self._settings.agent)
        repo, project = self._settings.for_repo(copy.key), self._trusted(copy.root)
        what = "once you have said yes" if not draft.yes else "unless a rule refuses them"
        task = self._task(draft, mode, repo, project, skip=skip, notes=[f"changes come back into {copy.root} {what}"])
        return task.model_copy(
            update={
                "repo": str(copy.root),
                "mode": Mode.TESTING,
                "yes": bool(draft.yes),
                "include": project.include,
                "checkout": CheckoutOptions(),
            }
        )

    def _task(
        self, draft: Draft, mode: ExecutionMode, repo: RepoSettings, project: ProjectSettings, *, skip: bool, notes: Sequence[str]
    ) -> Task:
        return Task(
            prompt=draft.prompt,
            repo="",
            execution_mode=mode,
            agent=draft.agent or self._settings.agent,
            model=draft.model or project.model or repo.model,
            agent_args=draft.agent_args or (),
            message=draft.message,
            limits=_limits(draft, repo),
            setup=draft.setup or project.setup or repo.setup,
            setup_inputs=repo.setup_inputs,
            verify=draft.verify or project.verify or repo.verify,
            checkout=repo.checkout(),
            image=ImageChoice(reference=repo.image, dockerfile=str(repo.dockerfile) if repo.dockerfile else None),
            hold=bool(draft.hold),
            skip_permissions=skip,
            allow=draft.allow,
            notes=(*_warnings(mode, skip=skip), *notes),
        )

    def _refuse_agent(self, draft: Draft, mode: ExecutionMode) -> None:
        """Let the agent itself say now what it would refuse later: a program that is not there, an argument that it cannot take."""
        agent = agent_by_name(draft.agent or self._settings.agent, self._agents)
        agent.command(Launch(session_id="", execution_mode=mode, agent_args=draft.agent_args or ()))

    def _trusted(self, working_copy: Path) -> ProjectSettings:
        """Return a working copy's own settings; their commands would run on this machine, so the user must have said yes to them."""
        project = self._project(working_copy)
        project.require_trust()
        return project.settings

    def _refuse_place(self, mode: ExecutionMode, remote: Remote | None, agent: str) -> None:
        """Say now what a place to run would refuse later."""
        if mode is ExecutionMode.LOCAL:
            if self._settings.services:
                raise PreflightError("services need containers", "use --mode dagger, or take [services] out of the settings")
            return
        if remote and remote.kind == "path":
            raise PreflightError(f"a container cannot reach the path {remote.display}", "give a URL, or use --mode local")
        if agent == ClaudeAgent.name:
            run_login(mode, self._environ)


def _warnings(mode: ExecutionMode, *, skip: bool) -> Sequence[str]:
    """Say what a person must know of a place to run."""
    if mode is not ExecutionMode.LOCAL:
        return []
    more = ["permissions are skipped: the agent may do everything that you may do"] if skip else []
    return ["local mode is no isolation: the agent runs on this machine as you", *more]


def _limits(draft: Draft, repo: RepoSettings) -> Limits:
    limits = repo.limits()
    given = {
        "wall_seconds": draft.timeout.total_seconds() if draft.timeout else None,
        "silence_seconds": draft.silence.total_seconds() if draft.silence else None,
        "budget_usd": draft.budget,
        "max_turns": draft.max_turns,
    }
    return limits.model_copy(update={name: value for name, value in given.items() if value is not None})
