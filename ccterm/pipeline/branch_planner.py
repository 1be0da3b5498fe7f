"""Names branches after tasks, and tells what is known of a branch before a run starts: from its remote, and from earlier runs."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath

from ccterm.draft import Draft, starting_directory
from ccterm.git.git import GitError
from ccterm.git.listing import RemoteRefs, start_of
from ccterm.git.refs import HEADS
from ccterm.models import BranchState, BranchUse, Run, now
from ccterm.pipeline.remote_listings import RemoteListings
from ccterm.pipeline.remote_target import RemoteTarget, find_target
from ccterm.remotes.branch_names import EACH, branch_for
from ccterm.settings import Settings
from ccterm.workspace.origin import ask

ANSWER_SECONDS = 15.0
"""How long a remote may take; a name must not wait as long as a run would."""
OfBranch = Callable[[str, str], Sequence[Run]]
"""Returns the last runs on a branch of a remote, by the remote's key and the branch's name, the newest first."""


def after_task(drafts: Sequence[Draft]) -> bool:
    """Return whether the branch of any draft is to be named after its task."""
    return any(EACH in (draft.branch or "") for draft in drafts)


class BranchPlanner:
    """Answers for the environment of one caller. listings: shared by all runs of this process."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], listings: RemoteListings) -> None:
        self._settings, self._environ, self._listings = settings, environ, listings

    async def named(self, drafts: Sequence[Draft], of_branch: OfBranch) -> list[Draft]:
        """Return the drafts with a free name in place of each that is to be made from its task. Raises RemoteError and PreflightError."""
        if not after_task(drafts):
            return list(drafts)
        states = await self.states(drafts, of_branch)
        return [draft.model_copy(update={"branch": state.branch}) if state else draft for draft, state in zip(drafts, states, strict=True)]

    async def states(self, drafts: Sequence[Draft], of_branch: OfBranch) -> list[BranchState | None]:
        """Return what is known of each draft's branch; None for one without. Raises RemoteError, PreflightError and SettingsError."""
        repos = {draft.repo or "." for draft in drafts if draft.branch}
        known = {repo: await self._ask(repo, of_branch) for repo in sorted(repos)}
        return [await asyncio.to_thread(known[draft.repo or "."].state, draft) if draft.branch else None for draft in drafts]

    async def _ask(self, repo: str, of_branch: OfBranch) -> "_Repository":
        target = await asyncio.to_thread(find_target, repo, self._settings, self._environ, starting_directory())
        refs, unknown = None, ""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                refs = await self._listings.refs(target.access)
        except TimeoutError:
            unknown = f"it gave no answer within {ANSWER_SECONDS:g} s"
        except GitError as error:
            unknown = error.detail
        except OSError as error:
            unknown = str(error)
        return _Repository(target, refs, unknown, of_branch, self._settings, self._environ)


class _Repository:
    """What a remote answered, and what earlier runs did there. Names that were given out count as taken."""

    def __init__(
        self,
        target: RemoteTarget,
        refs: RemoteRefs | None,
        unknown: str,
        of_branch: OfBranch,
        settings: Settings,
        environ: Mapping[str, str],
    ) -> None:
        self._target, self._refs, self._unknown, self._of_branch = target, refs, unknown, of_branch
        self._settings, self._environ = settings, environ
        names = [ref.removeprefix(HEADS) for ref in refs.shas if ref.startswith(HEADS)] if refs else []
        self._taken = {part for name in names for part in (name, *map(str, PurePosixPath(name).parents))}
        """Branches of the remote, and the directories that they are in: neither can be a new branch."""

    def state(self, draft: Draft) -> BranchState:
        """Return what is known of a draft's branch. Blocks."""
        branch, taken = draft.branch or "", ""
        if EACH in branch:
            branch, taken = branch_for(branch, draft.task, now().astimezone().date(), self._is_taken)
        self._taken.add(branch)
        state = BranchState(branch=branch, taken=taken, last=self._last(branch, None) or (self._last(taken, None) if taken else None))
        base = draft.base or self._settings.for_repo(self._target.remote.url_key).base
        return self._on_remote(state, self._refs, base) if self._refs else state.model_copy(update={"unknown": self._unknown})

    def _on_remote(self, state: BranchState, refs: RemoteRefs, base: str | None) -> BranchState:
        try:
            start = start_of(refs, state.branch, base)
        except GitError as error:
            return state.model_copy(update={"problem": error.detail, "concerns": "base" if error.reason == "no_base" else "branch"})
        if start.tip is None:
            return state.model_copy(update={"start": base or start.default_branch or ""})
        last = self._last(state.branch, start.tip)
        return state.model_copy(
            update={
                "tip": start.tip,
                "changed": last.at if last and last.pushed_tip else self._committed(start.tip),
                "is_default": state.branch == start.default_branch,
                "last": last,
            }
        )

    def _is_taken(self, name: str) -> bool:
        return name in self._taken or bool(self._runs(name))

    def _runs(self, branch: str) -> Sequence[Run]:
        return self._of_branch(self._target.remote.url_key, branch)

    def _last(self, branch: str, tip: str | None) -> BranchUse | None:
        """Return the run that pushed a branch's tip, or else the last one on it."""
        runs = self._runs(branch)
        pushed = next((run for run in runs if tip and run.pushed and run.pushed.sha == tip), None)
        run = next((run for run in runs if not run.state.final), pushed or next(iter(runs), None))
        return (
            BranchUse(run=run.id, label=run.label, at=run.finished or run.created, active=not run.state.final, pushed_tip=run is pushed)
            if run
            else None
        )

    def _committed(self, sha: str) -> datetime | None:
        """Return when a commit was made, if the working copy has it."""
        root = self._target.origin.root
        said = ask(root, self._environ, "show", "--no-patch", "--format=%ct", sha, "--") if root else None
        return datetime.fromtimestamp(int(said), UTC) if said and said.isdecimal() else None
