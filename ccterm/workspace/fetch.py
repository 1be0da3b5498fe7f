"""Fetches a run's commit from its kept bundle into the user's repository as refs/ccterm/RUN; no branch is touched."""

from collections.abc import Mapping
from pathlib import Path

from ccterm.errors import UsageError
from ccterm.git.git import WORK_REF, Git
from ccterm.models import Mode, Run
from ccterm.state_dir import StateDir
from ccterm.workspace.work import bundle_of


def fetch(run: Run, state: StateDir, repo: Path, worktree: Path | None, env: Mapping[str, str]) -> str:
    """Fetch the run's commit into `repo` and return its ref there. Raises UsageError."""
    if run.task.mode is Mode.TESTING:
        raise UsageError(
            f"the changes of run {run.id} are not based on a commit of yours", f"ccterm apply {run.id} brings them into its working copy"
        )
    bundle = bundle_of(run, state)
    if bundle is None or run.commit is None:
        raise UsageError(f"run {run.id} has no commit to fetch ({run.state})", f"ccterm show {run.id}")
    if worktree and worktree.exists():
        raise UsageError(f"{worktree} exists already", "give --worktree a new directory")
    ref = f"refs/ccterm/{run.id}"
    git = Git.of_user(str(repo), env)
    _git(git, repo, "rev-parse", "--git-dir", fix="run it in a git repository, or give --repo")
    if not _has(git, run.base_sha):
        source = run.task.remote or "origin"
        _git(git, repo, "fetch", "--quiet", "--no-tags", source, f"{run.base_sha}", fix="git fetch origin, then try again")
    _git(git, repo, "fetch", "--quiet", "--no-tags", str(bundle), f"+{WORK_REF}:{ref}", fix="git fetch origin, then try again")
    if worktree:
        _git(git, repo, "worktree", "add", "--quiet", "--detach", str(worktree.absolute()), ref, fix="give another --worktree")
    return ref


def _has(git: Git, commit: str | None) -> bool:
    return commit is None or git.succeeds("cat-file", "-e", f"{commit}^{{commit}}")


def _git(git: Git, repo: Path, *words: str, fix: str) -> None:
    """Run the user's own git in the user's own repository: their configuration applies here."""
    try:
        code, _, stderr = git.answer(*words)
    except OSError as error:
        raise UsageError(f"git cannot be started: {error.strerror}", "install git") from error
    if code:
        last = stderr.strip().split("\n")[-1]
        raise UsageError(f"git {words[0]} failed in {repo}: {last}", fix)
