"""Checks whether everything that a run needs is available: all checks at once, each answer as it comes and with its fix."""

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ccterm.agents.claude import CLAUDE_VERSION, INSTALL, ClaudeAgent
from ccterm.credentials.claude import TOKEN_NAME, StoredLogin, own_login, run_login
from ccterm.errors import CctermError, PreflightError, SettingsError
from ccterm.executors.base import Check, CheckResult
from ccterm.models import ExecutionMode
from ccterm.settings import Settings
from ccterm.state_dir import StateDir

CHECK_SECONDS = 10.0
ENOUGH_BYTES = 1024**3
Status = Literal["pass", "warn", "fail"]
_LOG_IN = f"run claude and type /login, or export {TOKEN_NAME} (claude setup-token)"


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
    return result.model_copy(update={"seconds": round(time.monotonic() - begin, 3)})


def core_checks(settings: Settings, state: StateDir, environ: Mapping[str, str], execution_mode: ExecutionMode) -> Sequence[Check]:
    """Return the checks that are not the executor's own. Containers bring their own Claude CLI."""
    common = (LoginCheck(execution_mode, environ), StateCheck(state), DiskCheck(state.path))
    if execution_mode is ExecutionMode.DAGGER:
        return common
    agent = ClaudeAgent(settings.claude_bin, path=environ.get("PATH"))
    return (ClaudeCheck(agent, settings.claude_version or CLAUDE_VERSION), *common)


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
            return _answer(self, "fail", error.message, error.fix)
        if version != self._wanted:
            return _answer(
                self,
                "warn",
                f"the Claude CLI is {version}; ccterm was tested with {self._wanted}",
                INSTALL.replace(CLAUDE_VERSION, self._wanted),
            )
        return _answer(self, "pass", f"the Claude CLI {version}")


class LoginCheck:
    """There is a Claude login that runs can use. No part of it is shown, and no request is made."""

    name, group = "login", "claude"

    def __init__(self, execution_mode: ExecutionMode, environ: Mapping[str, str], *, platform: str = sys.platform) -> None:
        self._execution_mode = execution_mode
        self._environ = environ
        self._platform = platform

    async def run(self) -> CheckResult:
        """Ask which login runs would use; for the user's own, look at what the CLI keeps of it."""
        try:
            login = await asyncio.to_thread(run_login, self._execution_mode, self._environ)
            if login.kind == "user login":
                return self._of_user(await asyncio.to_thread(own_login, self._environ, platform=self._platform))
        except (PreflightError, SettingsError) as error:
            return _answer(self, "fail", error.message, error.fix)
        if login.kind == "env":
            return _answer(self, "pass", f"{TOKEN_NAME} is set")
        return _answer(self, "pass", f"an exported Claude login{_left(login.expires)}")

    def _of_user(self, stored: StoredLogin | None) -> CheckResult:
        if stored is None:
            key = "; ANTHROPIC_API_KEY is set but not used, because it would bill the API" if self._environ.get("ANTHROPIC_API_KEY") else ""
            return _answer(self, "fail", f"no Claude login{key}", _LOG_IN)
        match stored.state:
            case "good":
                return _answer(self, "pass", f"a login in {stored.where}{_left(stored.expires)}")
            case "expired":  # the CLI renews it by itself
                text = f"the login in {stored.where} has expired and will be renewed"
                return _answer(self, "warn", text, "run claude once before many agents start")
            case "empty":
                return _answer(self, "fail", f"the login in {stored.where} is empty or expired", _LOG_IN)
            case _:
                return _answer(self, "fail", f"{stored.where} cannot be read", _LOG_IN)


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
            return _answer(self, "fail", error.message, error.fix)
        return _answer(self, "pass", str(self._state.path))


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
            return _answer(self, "fail", text, "set CCTERM_STATE_DIR to another disk")
        text = f"{free / 1024**3:.1f} GiB free at {path}"
        if free < self._enough:
            return _answer(self, "fail", text, f"free {self._enough / 1024**3:.1f} GiB, or set CCTERM_STATE_DIR to another disk")
        return _answer(self, "pass", text)


def _answer(check: Check, status: Status, text: str, fix: str = "") -> CheckResult:
    return CheckResult(name=check.name, group=check.group, status=status, text=text, fix=fix)


def _left(expires: datetime | None) -> str:
    if expires is None:
        return ""
    hours = (expires - datetime.now(UTC)).total_seconds() / 3600
    return f", valid for {hours:.0f} h" if hours >= 1 else ", valid for less than an hour"
