"""What programs may ask, over HTTP or MCP: tasks on the repositories that are served, with nothing that lifts a rule or runs a command on this machine."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ccterm.api.problems import HttpProblem, checked
from ccterm.draft import Draft, applied, starting_directory
from ccterm.errors import CctermError, RemoteError
from ccterm.models import Allowances, ExecutionMode, Run
from ccterm.problems import nearest, quoted
from ccterm.remotes import looks_like_url, parse_remote
from ccterm.settings import Settings
from ccterm.settings.egress import login_place, resolved, within
from ccterm.task_fields import FIELDS
from ccterm.values import Egress, LoginPlace
from ccterm.workspace.origin import find_origin
from ccterm.workspace.repository import find_repository

TASK_FIELDS = (
    "task", "branch", "repo", "base", "execution_mode", "agent", "model", "message", "timeout", "silence", "budget", "max_turns", "max_tokens", "hold",
    "apply", "login", "egress",
)  # fmt: skip
"""What a task may have in a body."""
SHARED_FIELDS = tuple(name for name in TASK_FIELDS if name not in ("task", "branch"))
"""What `run-parallel` takes for all of its tasks."""
_HERE = "use the command line on the machine itself"


class Permissions:
    """Checks what is asked. repos: working copies or URLs; the first is the default. settings: reads the user's settings as they are now.

    command: starts the server, with other flags if need be.
    """

    def __init__(self, repos: Sequence[str], settings: Callable[[], Settings], *, allow_local: bool, command: str = "ccterm serve") -> None:
        self._command = command
        self._default = repos[0]
        self._roots = [Path(os.path.realpath(repo)) for repo in repos if not looks_like_url(repo)]
        self._served = set(repos)
        self._settings = settings
        self._allow_local = allow_local

    def draft(self, given: Mapping[str, Any]) -> Draft:
        """Return the draft that a task in a body describes. Blocks. Raises HttpProblem."""
        _refuse_others(given, TASK_FIELDS)
        settings = self._settings()
        if "task" not in given:
            raise HttpProblem(422, "invalid-body", '"task" is missing', "say what the agent should do")
        draft = applied(checked({"execution_mode": settings.execution_mode, "agent": settings.agent, **_given(given)}, Draft))
        self._require_mode(draft.execution_mode, draft.agent)
        repo = self.repo(draft.repo)
        reaches_more = partial(
            self._reaches_more, settings=settings, repo=repo, on_branch=draft.branch is not None, mode=draft.execution_mode
        )
        if draft.egress is not None and reaches_more(resolved(draft.egress), None):
            what = '"egress" lets an agent reach more than the settings do'
            raise HttpProblem(403, "not-over-http", what, "leave it out, or name hosts of the settings alone")
        if draft.login is not None and reaches_more(None, draft.login):
            what = '"login" puts the Claude login into the box, and the settings keep it outside'
            raise HttpProblem(403, "not-over-http", what, "leave it out")
        return draft.model_copy(update={"repo": repo})

    def batch(self, given: Mapping[str, Any]) -> tuple[list[Draft], int | None]:
        """Return the drafts that a body with several tasks describes, and how many may run at once. Blocks. Raises HttpProblem."""
        shared = {name: value for name, value in given.items() if name not in ("tasks", "max_concurrent")}
        _refuse_others(shared, SHARED_FIELDS)
        tasks = given.get("tasks")
        if not isinstance(tasks, list) or not tasks:
            raise HttpProblem(422, "invalid-body", '"tasks" is not a list of tasks', 'send {"tasks": [{"task": "…", "branch": "…"}]}')
        return [self._task(number, shared, task) for number, task in enumerate(tasks)], _at_once(given)

    def _task(self, number: int, shared: Mapping[str, Any], task: object) -> Draft:
        if not isinstance(task, dict):
            raise HttpProblem(422, "invalid-body", f"tasks[{number}] is not an object", 'send {"task": "…"}')
        inherited = {name: value for name, value in shared.items() if name != "apply" or task.get("branch") is None}
        try:
            return self.draft(inherited | task)
        except HttpProblem as problem:
            raise HttpProblem(problem.status, problem.kind, f"tasks[{number}]: {problem.detail}", problem.action) from problem

    def require(self, run: Run) -> None:
        """Refuse to go on with a run that could not have been started by a program. Blocks. Raises HttpProblem 403."""
        task = run.task
        self._require_mode(task.execution_mode, task.agent)
        self.repo(task.repo)
        settings = self._settings()
        lifted = task.allow != Allowances() or task.allow_default_branch or bool(task.agent_args)
        lifted = lifted or (task.skip_permissions and not settings.skip_permissions)
        if lifted or self._reaches_more(task.egress, task.login, settings, task.repo, on_branch=task.branch is not None):
            raise HttpProblem(403, "not-over-http", f"run {run.label} was given more than a program may give", _HERE)

    def _reaches_more(
        self,
        egress: Egress | None,
        login: LoginPlace | None,
        settings: Settings,
        repo: str,
        *,
        on_branch: bool,
        mode: ExecutionMode | None = None,
    ) -> bool:
        """Return whether a network, or a place of the login, goes beyond what the settings choose for a repository; None = theirs. Blocks.

        mode: of a task that is to begin. What began with its login in the box for want of a choice may go on.
        """
        closed = any(each not in (None, "open") for each in (settings.egress, *(own.egress for own in settings.repo.values())))
        allowed = resolved(settings.for_repo(_key(repo, on_branch=on_branch)).egress) if closed else Egress()
        held = login == "secret" and login_place(settings.login, allowed, mode) == "gateway"
        return held or (egress is not None and not within(egress, allowed))

    def _require_mode(self, mode: ExecutionMode | None, agent: str | None) -> None:
        """Refuse what runs on this machine itself, unless the server's user allowed it."""
        if self._allow_local:
            return
        if mode is ExecutionMode.LOCAL:
            raise HttpProblem(
                403,
                "local-mode",
                "this server starts no runs in local mode, which has no isolation",
                f"ask for dagger; or {self._command} --allow-local",
            )
        if agent == "scripted":
            raise HttpProblem(
                403, "local-mode", "this server starts no scripted agents", f"leave out agent; or {self._command} --allow-local"
            )

    def repo(self, repo: str | None) -> str:
        """Return the repository that is meant, without symbolic links. Blocks. Raises HttpProblem 403 for a path that is not served."""
        if repo is None or repo in self._served:
            return repo or self._default
        if looks_like_url(repo) and not _is_path(repo):
            return repo
        real = Path(os.path.realpath(repo))
        if Path(repo).is_absolute() and any(real.is_relative_to(root) for root in self._roots):
            return str(real)
        raise HttpProblem(
            403, "repo-not-served", f"{repo} is not below a repository that this server serves", f"{self._command} --repo PATH serves one"
        )


def _key(repo: str, *, on_branch: bool) -> str:
    """Return the key of a repository's settings; "" where it has none, which the service refuses."""
    try:
        if on_branch:
            return find_origin(repo, os.environ, starting_directory()).remote.url_key
        return find_repository(repo, os.environ, starting_directory()).key
    except CctermError:
        return ""


def _at_once(given: Mapping[str, Any]) -> int | None:
    most = given.get("max_concurrent")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or not 0 < most < 10_000):
        raise HttpProblem(422, "invalid-body", '"max_concurrent" is not a whole number from 1 to 9999', "write one such as 4")
    return most


def _given(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _is_path(url: str) -> bool:
    try:
        return parse_remote(url).kind == "path"
    except RemoteError:
        return False  # the draft refuses it, or has


def _refuse_others(given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse fields that are unknown, and those that only the command line may set."""
    for name in given:
        if name in known:
            continue
        if name in FIELDS:
            raise HttpProblem(403, "not-over-http", f"{quoted(name)} cannot be set by a program", _HERE)
        raise HttpProblem(422, "invalid-body", f"unknown field {quoted(name)}", nearest(name, known))
