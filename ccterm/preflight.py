"""Checks whether everything that a run needs is there, and streams the results, each with its fix."""

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ccterm.agents.claude import CLAUDE_VERSION, INSTALL, ClaudeAgent
from ccterm.credentials.claude import TOKEN_NAME, StoredLogin, box_login, claude_login, stored_login
from ccterm.errors import CctermError, PreflightError, SettingsError
from ccterm.executors.base import Check, CheckResult
from ccterm.models import ExecutionMode
from ccterm.processes import run_command_async
from ccterm.settings import Settings
from ccterm.state_dir import StateDir

CHECK_SECONDS = 10.0
ENOUGH_BYTES = 1024**3
Status = Literal["pass", "warn", "fail"]
_LOG_IN = f"run claude and say /login, or export {TOKEN_NAME} (claude setup-token)"


async def run_checks(checks: Sequence[Check], *, seconds: float = CHECK_SECONDS) -> AsyncGenerator[CheckResult, None]:
    """Run all checks at once and yield each result as it arrives; one that takes longer than `seconds` fails."""
    tasks = [asyncio.ensure_future(_bounded(check, seconds)) for check in checks]
    try:
        for answer in asyncio.as_completed(tasks):
            yield await answer
    finally:  # the consumer may stop early
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


def core_checks(settings: Settings, state: StateDir, environ: Mapping[str, str], mode: ExecutionMode) -> Sequence[Check]:
    """Return the checks that do not depend on an executor. A container has its own Claude CLI, and only the login that it is given."""
    kept = (StateCheck(state), DiskCheck(state.path))
    if mode is ExecutionMode.DAGGER:
        return (BoxLoginCheck(environ), *kept)
    agent = ClaudeAgent(settings.claude_bin, path=environ.get("PATH"))
    return (ClaudeCheck(agent, settings.claude_version or CLAUDE_VERSION), LoginCheck(environ), *kept)


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
    """There is a Claude login. None of it is shown, and no request is made."""

    name, group = "login", "claude"

    def __init__(self, environ: Mapping[str, str], *, platform: str = sys.platform) -> None:
        self._environ = environ
        self._platform = platform

    async def run(self) -> CheckResult:
        """Look for a token, then for the CLI's own login."""
        try:
            token = claude_login(self._environ)
        except SettingsError as error:
            return _answer(self, "fail", error.message, error.fix)
        if token:
            return _answer(self, "pass", f"{TOKEN_NAME} is set")
        stored = await asyncio.to_thread(stored_login, self._environ)
        if stored:
            return self._of_file(stored)
        if (
            self._platform == "darwin"
            and await _quiet_exit(self._environ, "security", "find-generic-password", "-s", "Claude Code-credentials") == 0
        ):
            return _answer(self, "pass", "a login in the macOS keychain")
        key = "; ANTHROPIC_API_KEY is set but not used, because it would bill the API" if self._environ.get("ANTHROPIC_API_KEY") else ""
        return _answer(self, "fail", f"no Claude login{key}", _LOG_IN)

    def _of_file(self, stored: StoredLogin) -> CheckResult:
        match stored.state:
            case "good":
                return _answer(self, "pass", f"a login in {stored.place}{_left(stored.expires)}")
            case "expired":  # the CLI renews it by itself
                return _answer(
                    self,
                    "warn",
                    f"the login in {stored.place} has expired and will be renewed",
                    "run claude once before starting many agents",
                )
            case "empty":
                return _answer(self, "fail", f"the login in {stored.place} is empty or has expired", _LOG_IN)
            case _:
                return _answer(self, "fail", f"{stored.place} cannot be read", _LOG_IN)


class BoxLoginCheck:
    """There is a Claude login for containers."""

    name, group = "login", "claude"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    async def run(self) -> CheckResult:
        """Look for a token, then for the exported login."""
        try:
            login = await asyncio.to_thread(box_login, self._environ)
        except (PreflightError, SettingsError) as error:
            return _answer(self, "fail", error.message, error.fix)
        if login.kind == "env":
            return _answer(self, "pass", f"{TOKEN_NAME} is set")
        return _answer(self, "pass", f"an exported Claude login{_left(login.expires)}")


class StateCheck:
    """The state directory is usable, and private."""

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
    """There is disk space for runs."""

    name, group = "disk", "state"

    def __init__(self, path: Path, *, enough: int = ENOUGH_BYTES) -> None:
        self._path = path
        self._enough = enough

    async def run(self) -> CheckResult:
        """Check the free space where the state directory is or will be."""
        place = next(path for path in (self._path, *self._path.parents) if path.exists())
        try:
            free = (await asyncio.to_thread(shutil.disk_usage, place)).free
        except OSError as error:
            return _answer(
                self, "fail", f"{place} does not report its free space: {error.strerror}", "set CCTERM_STATE_DIR to another disk"
            )
        text = f"{free / 1024**3:.1f} GiB free at {place}"
        if free < self._enough:
            return _answer(
                self, "fail", text, f"free some space ({self._enough / 1024**3:.1f} GiB), or set CCTERM_STATE_DIR to another disk"
            )
        return _answer(self, "pass", text)


def _answer(check: Check, status: Status, text: str, fix: str = "") -> CheckResult:
    return CheckResult(name=check.name, group=check.group, status=status, text=text, fix=fix)


def _left(expires: datetime | None) -> str:
    if expires is None:
        return ""
    hours = (expires - datetime.now(UTC)).total_seconds() / 3600
    return f", good for {hours:.0f} h" if hours >= 1 else ", good for less than an hour"


async def _quiet_exit(environ: Mapping[str, str], *argv: str) -> int | None:
    """Return the exit code of a program that prints nothing for us, or None when it cannot be started or does not end."""
    try:
        return (await run_command_async(argv, env=environ, seconds=5.0, limit=0)).code
    except OSError:
        return None
