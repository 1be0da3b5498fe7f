"""Checks of one repository and branch, before any run: whether it can be read and pushed to, and which rules its host tells of."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from ccterm.credentials.git_checks import branch_rules, token_state
from ccterm.errors import CctermError
from ccterm.executors.base import Check
from ccterm.models import CheckResult, Run, now
from ccterm.pipeline.remote_listings import RemoteListings
from ccterm.pipeline.remote_target import RemoteTarget, find_target
from ccterm.remotes import check_branch
from ccterm.settings import Settings
from ccterm.state_dir import StateDir
from ccterm.store import Store

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


def remote_checks(
    repo: str, branch: str | None, settings: Settings, env: Mapping[str, str], cwd: Path, state: StateDir | None = None
) -> Sequence[Check]:
    """Return the checks of a repository, a URL or a path from `cwd`, and of a branch. Raises BranchError.

    state: where earlier runs are recorded, which tell whose branch it is.
    """
    checks = _RemoteChecks(repo, check_branch(branch) if branch else None, settings, env, cwd, state)
    asked = {"remote": checks.readable, "push": checks.pushable, **({"branch": checks.branch} if branch else {})}
    return [RemoteCheck(name, ask) for name, ask in asked.items()]


class _RemoteChecks:
    def __init__(
        self, repo: str, branch: str | None, settings: Settings, env: Mapping[str, str], cwd: Path, state: StateDir | None
    ) -> None:
        self._branch, self._settings, self._env, self._state = branch, settings, env, state
        self._find = partial(find_target, repo, settings, env, cwd)
        self._listings, self._started = RemoteListings(), now()
        self._found: asyncio.Future[RemoteTarget | CctermError] | None = None

    async def readable(self) -> Answer:
        target = await self._target()
        if target is None:
            return await self._unresolved()
        report = await self._report(target)
        if not _was_read(report):
            return "fail", f"{target.remote.display} cannot be read: {report.get('detail')}", self._reading_fix(target, report)
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
        text = await asyncio.to_thread(self._whose, target.remote.url_key, report["tip"])
        rules = [*await self._rules(target), *await self._workflows(target)]
        if rules:
            return "warn", f"{text}; {target.remote.host_key} says: {'; '.join(rules)}", "choose another branch, or ask who keeps the rules"
        return "pass", text, ""

    def _whose(self, remote_key: str, tip: object) -> str:
        """Return whose the branch is, in words: nobody's, a run's, or somebody else's."""
        runs = self._runs(remote_key)
        working = next((f"; run {run.label} works on it now, and another one would wait" for run in runs if not run.state.final), "")
        if not tip:
            return f"{self._branch} is free{working}"
        then = f"would be continued from {str(tip)[:12]}{working}"
        pushed = [run for run in runs if run.pushed]
        if ours := next((run for run in pushed if run.pushed and run.pushed.sha == tip), None):
            return f"{self._branch} is as run {ours.label} pushed it, and {then}"
        since = f" has changed since run {pushed[0].label} pushed it" if pushed else " exists, from elsewhere"
        return f"{self._branch}{since}, and {then}"

    def _runs(self, remote_key: str) -> Sequence[Run]:
        if self._state is None or not self._state.db.exists():
            return ()
        try:
            with closing(Store.open(self._state.db, readonly=True)) as store:
                return store.of_branch(remote_key, self._branch or "")
        except CctermError:  # another check says so
            return ()

    async def _rules(self, target: RemoteTarget) -> Sequence[str]:
        types = await branch_rules(target.remote, self._branch or "", self._settings, self._env)
        return [_RULES[name] for name in types if name in _RULES]

    async def _workflows(self, target: RemoteTarget) -> Sequence[str]:
        state = await token_state(target.remote, self._settings, self._env)
        return ["the token may not change .github/workflows"] if state.scopes and "workflow" not in state.scopes else []

    async def _report(self, target: RemoteTarget) -> Mapping[str, object]:
        report = await self._listings.start(target.access, self._branch or _NO_BRANCH, None, started=self._started)
        return report or {"ok": False, "reason": "git", "detail": "git could not be asked on this machine"}

    async def _target(self) -> RemoteTarget | None:
        """Return what the repository stands for and how it is reached, looked for once; None when it could not be told."""
        self._found = self._found or asyncio.ensure_future(asyncio.to_thread(self._look))
        found = await asyncio.shield(self._found)
        return None if isinstance(found, CctermError) else found

    async def _unresolved(self) -> Answer:
        assert self._found is not None
        error = await self._found
        assert isinstance(error, CctermError)
        raise error

    def _look(self) -> RemoteTarget | CctermError:
        try:
            return self._find()
        except CctermError as error:
            return error

    def _by(self, target: RemoteTarget) -> str:
        return f" with the token from {target.git.source}" if target.git.source else " with your ssh agent" if target.git.ssh_agent else ""

    def _reading_fix(self, target: RemoteTarget, report: Mapping[str, object]) -> str:
        unreachable = report.get("reason") == "network"  # no token helps then
        return "check the address, and whether this machine reaches that host" if unreachable else self._fix(target)

    def _fix(self, target: RemoteTarget) -> str:
        where = f'a token for {target.remote.host_key} that may write: [host."{target.remote.host_key}"] in the settings'
        return f"gh auth status; {where}, or GH_TOKEN" if target.remote.host_key == "github.com" else where


def _was_read(report: Mapping[str, object]) -> bool:
    """Whether the remote listed its refs, even if no run could start from them."""
    return bool(report.get("ok")) or report.get("reason") in ("no_base", "name")
