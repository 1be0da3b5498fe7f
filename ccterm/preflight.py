"""Checks whether everything that a run needs is available: all checks at once, each answer as it comes and with its fix."""

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ccterm.agents.claude import CLAUDE_VERSION, INSTALL, ClaudeAgent
from ccterm.credentials.api_address import on_this_machine
from ccterm.credentials.checks import ApiCheck, ExportCheck, LoginCheck, answer, secret_checks
from ccterm.credentials.claude import Logins
from ccterm.credentials.git_checks import token_checks
from ccterm.credentials.provider import switch_or_none
from ccterm.draft import starting_directory
from ccterm.errors import CctermError, PreflightError
from ccterm.executors.base import Check, CheckResult
from ccterm.models import ExecutionMode
from ccterm.output.own_text import clean_text
from ccterm.settings import RepoSettings, Settings
from ccterm.settings.egress import login_place, resolved
from ccterm.settings.load import unknown_variables
from ccterm.state_dir import StateDir
from ccterm.values import LoginPlace
from ccterm.workspace.repository import repository_key

CHECK_SECONDS = 5.0
"""How long a check may take: after that it has no answer."""
ENOUGH_BYTES = 1024**3


async def run_checks(checks: Sequence[Check], *, seconds: float = CHECK_SECONDS) -> AsyncGenerator[CheckResult, None]:
    """Run all checks at once and yield each answer as it comes; one that takes longer than `seconds` fails."""
    tasks = [asyncio.ensure_future(_bounded(check, seconds)) for check in checks]
    try:
        for answer in asyncio.as_completed(tasks):
            yield await answer
    finally:  # the caller may stop iterating
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _bounded(check: Check, seconds: float) -> CheckResult:
    begin = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            result = await check.run()
    except TimeoutError:
        result = CheckResult(
            name=check.name, group=check.group, status="fail", text=f"no answer within {seconds:g} s", fix="try again; find out what hangs"
        )
    said = {"text": clean_text(result.text), "fix": clean_text(result.fix)}  # a program or a host may have repeated what it was given
    return result.model_copy(update={**said, "seconds": round(time.monotonic() - begin, 3)})


def core_checks(
    settings: Settings,
    state: StateDir,
    environ: Mapping[str, str],
    execution_mode: ExecutionMode,
    logins: Logins | None = None,
    *,
    repo: str = "",
) -> Sequence[Check]:
    """Return the checks that are not the executor's own. Containers bring their own Claude CLI.

    repo: whose network is told, and where its login would be; "" = what counts in general.
    """
    logins = logins or Logins(api_key=settings.api_key)
    secrets = secret_checks(settings, environ, logins)
    api = [ApiCheck(settings.base_url)] if settings.base_url and on_this_machine(settings.base_url) else []
    of_repo = partial(_settings_of, repo, settings, environ)
    login = LoginCheck(execution_mode, environ, logins, lambda: usual_place(settings, of_repo(), environ, execution_mode))
    tokens, network = token_checks(settings, environ), NetworkCheck(settings, environ, execution_mode, of_repo)
    variables = [VariablesCheck(unknown)] if (unknown := unknown_variables(environ, settings)) else []
    common: tuple[Check, ...] = (*variables, *api, *tokens, *secrets, network, StateCheck(state), DiskCheck(state.path))
    if execution_mode is ExecutionMode.DAGGER:
        return (login, ExportCheck(environ, logins), *common)
    agent = ClaudeAgent(settings.claude_bin, path=environ.get("PATH"))
    return (ClaudeCheck(agent, settings.claude_version or CLAUDE_VERSION), login, *common)


class ClaudeCheck:
    """The Claude CLI is installed, in the version that ccterm was tested with."""

    name, group = "claude", "claude"

    def __init__(self, agent: ClaudeAgent, wanted: str) -> None:
        self._agent = agent
        self._wanted = wanted

    async def run(self) -> CheckResult:
        """Ask the CLI for its version."""
        try:
            version = await self._agent.version()
        except PreflightError as error:
            return answer(self, "fail", error.message, error.fix.replace(CLAUDE_VERSION, self._wanted))
        if version != self._wanted:
            return answer(
                self,
                "warn",
                f"the Claude CLI is {version}; ccterm was tested with {self._wanted}",
                INSTALL.replace(CLAUDE_VERSION, self._wanted),
            )
        return answer(self, "pass", f"the Claude CLI {version}")


def usual_place(settings: Settings, repo: RepoSettings, environ: Mapping[str, str], execution_mode: ExecutionMode) -> LoginPlace:
    """Return where the login of a run is whose task says nothing of it; that of another cloud is always in the box. repo: as `for_repo` has it."""
    if switch_or_none(environ):
        return "secret"
    return login_place(settings.login, resolved(repo.egress), execution_mode, needed=bool(repo.max_tokens or repo.git_read))


def _settings_of(repo: str, settings: Settings, environ: Mapping[str, str]) -> RepoSettings:
    """Return the settings of a repository, a URL or a path. Blocks."""
    return settings.for_repo(repository_key(repo, environ, starting_directory()) if repo else "")


class NetworkCheck:
    """Which hosts runs may reach and where their login is, and that this can be so."""

    name, group = "network", "network"

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], execution_mode: ExecutionMode, of_repo: Callable[[], RepoSettings]
    ) -> None:
        self._settings, self._environ, self._execution_mode, self._of_repo = settings, environ, execution_mode, of_repo

    async def run(self) -> CheckResult:
        """Read the settings of the repository."""
        repo = await asyncio.to_thread(self._of_repo)
        egress = resolved(repo.egress)
        place = usual_place(self._settings, repo, self._environ, self._execution_mode)
        in_container = self._execution_mode is ExecutionMode.DAGGER
        login = "gateway" if place == "gateway" else "in the box" if in_container else ""
        text = f"network: {egress.text}" + (f" · login: {login}" if login else "")
        if egress.mode != "open" and not in_container:
            return answer(
                self, "fail", f"{text}; this needs containers", "give --mode dagger or --egress open, or change egress in the settings"
            )
        if egress.mode == "list" and place == "secret":
            return answer(
                self, "fail", f"{text}; a list of hosts needs the login outside of the box", 'take login = "secret" out of the settings'
            )
        return answer(self, "pass", text)


class VariablesCheck:
    """Every variable that is named as ccterm's are is one of them."""

    name, group = "variables", "settings"

    def __init__(self, unknown: Sequence[CctermError]) -> None:
        self._unknown = unknown

    async def run(self) -> CheckResult:
        """Name those that are none."""
        texts, fixes = (list(dict.fromkeys(each)) for each in zip(*((error.message, error.fix) for error in self._unknown), strict=True))
        return answer(self, "warn", "; ".join(texts), "; ".join(fixes))


class StateCheck:
    """The state directory can be used, and only by this user."""

    name, group = "state", "state"

    def __init__(self, state: StateDir) -> None:
        self._state = state

    async def run(self) -> CheckResult:
        """Create it, or check the existing one."""
        try:
            await asyncio.to_thread(self._state.prepare)
        except CctermError as error:
            return answer(self, "fail", error.message, error.fix)
        return answer(self, "pass", str(self._state.path))


class DiskCheck:
    """There is enough disk space for runs."""

    name, group = "disk", "state"

    def __init__(self, path: Path, *, enough: int = ENOUGH_BYTES) -> None:
        self._path = path
        self._enough = enough

    async def run(self) -> CheckResult:
        """Ask for the free bytes where the state directory is or will be."""
        path = next(path for path in (self._path, *self._path.parents) if path.exists())
        try:
            free = (await asyncio.to_thread(shutil.disk_usage, path)).free
        except OSError as error:
            text = f"the free space at {path} is unknown: {error.strerror}"
            return answer(self, "fail", text, "set CCTERM_STATE_DIR to another disk")
        text = f"{free / 1024**3:.1f} GiB free at {path}"
        if free < self._enough:
            return answer(self, "fail", text, f"free {self._enough / 1024**3:.1f} GiB, or set CCTERM_STATE_DIR to another disk")
        return answer(self, "pass", text)
