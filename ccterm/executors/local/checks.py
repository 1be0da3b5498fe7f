"""Preflight checks of the local executor: what it needs on this machine."""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence

from ccterm.executors.base import Check, CheckResult
from ccterm.git.git import GitError, installed_version

_GIT = (2, 25)


def local_checks(environ: Mapping[str, str]) -> Sequence[Check]:
    """Return the checks in display order."""
    return (GitCheck(environ), PythonCheck())


class GitCheck:
    """Check that git is installed and new enough."""

    name, group = "git", "local"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    async def run(self) -> CheckResult:
        """Run the check."""
        begin = time.monotonic()
        version = await self._version()
        seconds = time.monotonic() - begin
        if version is None:
            return self._answer("fail", "git is not on PATH", "install git", seconds)
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        if numbers < _GIT:
            return self._answer("fail", f"git {version} is too old", f"install git {_GIT[0]}.{_GIT[1]} or newer", seconds)
        return self._answer("pass", f"git {version}", "", seconds)

    def _answer(self, status: str, text: str, fix: str, seconds: float) -> CheckResult:
        return CheckResult.model_validate(
            {"name": self.name, "group": self.group, "status": status, "text": text, "fix": fix, "seconds": seconds}
        )

    async def _version(self) -> str | None:
        try:
            return await asyncio.to_thread(installed_version, self._environ.get("PATH")) or None
        except (OSError, GitError):
            return None


class PythonCheck:
    """Report the interpreter that runs the step programs."""

    name, group = "python", "local"

    async def run(self) -> CheckResult:
        """Return its version."""
        version = ".".join(str(part) for part in sys.version_info[:3])
        return CheckResult(name=self.name, group=self.group, status="pass", text=f"Python {version}")
