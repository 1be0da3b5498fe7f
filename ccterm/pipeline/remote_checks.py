"""Checks of one repository and branch, before any run: whether it can be read and pushed to, and which rules its host tells of."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ccterm.credentials.git import GitAccess, git_access
from ccterm.credentials.git_checks import branch_rules, token_state
from ccterm.errors import CctermError
from ccterm.executors.base import Check
from ccterm.models import CheckResult, now
from ccterm.pipeline.context import RemoteAccess
from ccterm.pipeline.remote_listings import RemoteListings
from ccterm.remotes import RemoteAddress, check_branch
from ccterm.settings import Settings
from ccterm.workspace.origin import find_origin

Answer = tuple[str, str, str]
"""Status, text, fix."""
_NO_BRANCH = "ccterm-check"
"""Stands for the branch where none is named: no remote has one of that name."""
_RULES = {
    "required_signatures": "commits must be signed, and those of ccterm are not",
    "creation": "branches of that name may not be created",
    "update": "it may not be pushed to",
    "pull_request": "changes come by pull request",
    "commit_message_pattern": "commit messages must have a form",
    "commit_author_email_pattern": "authors' addresses must have a form",
    "file_path_restriction": "some paths may not be changed",
    "max_file_size": "files have a largest size",
}


@dataclass(frozen=True)
class _Target:
    remote: RemoteAddress
    git: GitAccess
    access: RemoteAccess


class RemoteCheck:
    """One check; an error of ccterm's own is a failure."""

    group = "remote"

    def __init__(self, name: str, ask: Callable[[], Awaitable[Answer]]) -> None:
        self.name, self._ask = name, ask

    async def run(self) -> CheckResult:
        """Run the check."""
        try:
            status, text, fix = await self._ask()
        except CctermError as error:
            status, text, fix = "fail", error.message, error.fix
        return CheckResult.model_validate({"name": self.name, "group": self.group, "status": status, "text": text, "fix": fix})


def remote_checks(repo: str, branch: str | None, settings: Settings, env: Mapping[str, str], cwd: Path) -> Sequence[Check]:
    """Return the checks of a repository, a URL or a path from `cwd`, and of a branch. Raises BranchError."""
    checks = _RemoteChecks(repo, check_branch(branch) if branch else None, settings, env, cwd)
    asked = {"remote": checks.readable, "push": checks.pushable, **({"branch": checks.branch} if branch else {})}
    return [RemoteCheck(name, ask) for name, ask in asked.items()]


class _RemoteChecks:
    def __init__(self, repo: str, branch: str | None, settings: Settings, env: Mapping[str, str], cwd: Path) -> None:
        self._branch, self._settings, self._env = branch, settings, env
        self._find = partial(find_origin, repo, env, cwd)
        self._listings, self._started = RemoteListings(), now()
        self._found: asyncio.Future[_Target | CctermError] | None = None

    async def readable(self) -> Answer:
        target = await self._target()
        if target is None:
            return await self._unresolved()
        report = await self._report(target)
        if not _was_read(report):
            return "fail", f"{target.remote.display} cannot be read: {report.get('detail')}", self._fix(target)
        start = f", default branch {report['default_branch']}" if report.get("default_branch") else ""
        return "pass", f"{target.git.remote.display} can be read{start}", ""

    async def pushable(self) -> Answer:
        target = await self._target()
        if target is None or not _was_read(await self._report(target)):
            return "warn", "not asked for: the repository cannot be read", "see above"
        if refusal := await self._listings.push_refusal(target.access, started=self._started):
            return "fail", f"{target.remote.display} would refuse a push: {refusal}", self._fix(target)
        return "pass", f"{target.git.remote.display} would take a push{self._by(target)}", ""

    async def branch(self) -> Answer:
        target = await self._target()
        report = await self._report(target) if target else {"ok": False, "reason": ""}
        if target is None or not _was_read(report):
            return "warn", f"nothing is known of {self._branch}: the repository cannot be read", "see above"
        if not report.get("ok"):
            return "fail", str(report.get("detail")), "choose another branch, or give --base"
        if report["tip"] and self._branch == report["default_branch"]:
            return "fail", f"{self._branch} is the default branch", "choose another branch, or add --allow-default-branch"
        text = (
            f"{self._branch} exists and would be continued from {str(report['tip'])[:12]}" if report["tip"] else f"{self._branch} is free"
        )
        rules = [*await self._rules(target), *await self._workflows(target)]
        if rules:
            return "warn", f"{text}; {target.remote.host_key} says: {'; '.join(rules)}", "choose another branch, or ask who keeps the rules"
        return "pass", text, ""

    async def _rules(self, target: _Target) -> Sequence[str]:
        types = await branch_rules(target.remote, self._branch or "", self._settings, self._env)
        return [_RULES[name] for name in types if name in _RULES]

    async def _workflows(self, target: _Target) -> Sequence[str]:
        state = await token_state(target.remote, self._settings, self._env)
        return ["the token may not change .github/workflows"] if state.scopes and "workflow" not in state.scopes else []

    async def _report(self, target: _Target) -> Mapping[str, object]:
        report = await self._listings.start(target.access, self._branch or _NO_BRANCH, None, started=self._started)
        return report or {"ok": False, "reason": "git", "detail": "git could not be asked on this machine"}

    async def _target(self) -> _Target | None:
        """Return what the repository stands for and how it is reached, looked for once; None when it could not be told."""
        self._found = self._found or asyncio.ensure_future(asyncio.to_thread(self._look))
        found = await asyncio.shield(self._found)
        return None if isinstance(found, CctermError) else found

    async def _unresolved(self) -> Answer:
        assert self._found is not None
        error = await self._found
        assert isinstance(error, CctermError)
        raise error

    def _look(self) -> _Target | CctermError:
        try:
            remote = self._find().remote
            git = git_access(remote, self._settings, self._env)
        except CctermError as error:
            return error
        url = git.remote.url
        access = RemoteAccess(url, url, mirror_key="", header=git.header, ca=git.ca, ssh_agent=git.ssh_agent, known_hosts=git.known_hosts)
        return _Target(remote, git, access)

    def _by(self, target: _Target) -> str:
        return f" with the token from {target.git.source}" if target.git.source else " with your ssh agent" if target.git.ssh_agent else ""

    def _fix(self, target: _Target) -> str:
        where = f'a token for {target.remote.host_key} that may write: [host."{target.remote.host_key}"] in the settings'
        return f"gh auth status; {where}, or GH_TOKEN" if target.remote.host_key == "github.com" else where


def _was_read(report: Mapping[str, object]) -> bool:
    """Whether the remote listed its refs, even if no run could start from them."""
    return bool(report.get("ok")) or report.get("reason") in ("no_base", "name")
