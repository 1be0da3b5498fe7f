"""Fetches a run's work from its kept bundles into the user's repository; no branch is touched.

The commit becomes refs/ccterm/RUN, and what the agent left beside its tree refs/ccterm/side/RUN/….
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ccterm.errors import UsageError
from ccterm.git.git import SIDE_REFS, WORK_REF, Git, GitError
from ccterm.kept_refs import fetched_as
from ccterm.models import Mode, Run
from ccterm.state_dir import StateDir
from ccterm.workspace.work import bundle_of, side_bundle_of

_EVENTS = ("reference-transaction", "post-index-change", "post-checkout", "pre-auto-gc")
"""What fetching, and checking out, set off."""


def fetch(run: Run, state: StateDir, repo: Path, env: Mapping[str, str]) -> str:
    """Fetch the run's commit, and what is kept beside it, into `repo`; return the first ref there. Raises UsageError."""
    side = side_bundle_of(run, state)
    if run.task.mode is Mode.TESTING and side is None:
        raise UsageError(
            f"the changes of run {run.label} are not based on a commit of yours",
            f"ccterm apply {run.ref} brings them into its working copy",
        )
    bundle = bundle_of(run, state) if run.task.mode is Mode.PIPELINE and run.commit else None
    if bundle is None and side is None:
        raise UsageError(f"run {run.label} has no commit to fetch ({run.state})", f"ccterm show {run.ref}")
    if not repo.is_dir():
        raise UsageError(f"there is no directory {repo}", "run it in a git repository, or give --repo")
    run_git(Git.of_user(str(repo), env), repo, "rev-parse", "--git-dir", fix="run it in a git repository, or give --repo")
    git = Git.of_user(str(repo), env, *no_hooks(repo, env))
    if run.task.mode is Mode.PIPELINE and not _has(git, run.base_sha):
        source = run.task.remote or "origin"
        run_git(git, repo, "fetch", "--quiet", "--no-tags", source, f"{run.base_sha}", fix="git fetch origin, then try again")
    refs = []
    if bundle:
        refs.append(f"refs/ccterm/{run.id}")
        run_git(git, repo, "fetch", "--quiet", "--no-tags", str(bundle), f"+{WORK_REF}:{refs[0]}", fix="git fetch origin, then try again")
    if side:
        refs += [fetched_as(run.id, each) for each in run.side]
        run_git(
            git,
            repo,
            "fetch",
            "--quiet",
            "--no-tags",
            str(side),
            f"+{SIDE_REFS}*:{SIDE_REFS}{run.id}/*",
            fix="git fetch origin, then try again",
        )
    return refs[0]


def _has(git: Git, commit: str | None) -> bool:
    return commit is None or git.succeeds("cat-file", "-e", f"{commit}^{{commit}}")


def run_git(git: Git, repo: Path, *words: str, fix: str) -> None:
    """Run the user's own git in the user's own repository: their configuration applies here. Raises UsageError."""
    try:
        code, _, stderr = git.answer(*words)
    except OSError as error:
        raise UsageError(f"git cannot be started: {error.strerror}", "install git") from error
    if code:
        lines = stderr.strip().split("\n")
        said = next((line for line in lines if line.startswith("fatal: ")), lines[-1])
        raise UsageError(f"git {words[0]} failed in {repo}: {said.removeprefix('fatal: ')}", fix)


def no_hooks(repo: Path, env: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """Return settings, names and values, under which no hook runs in `repo`: no file and, from git 2.54 on, no command of its configuration.

    Hooks may lie in the tree that is brought, or take what is brought for the user's own work. Raises UsageError when git does not answer.
    """
    names = named_by(repo, env, r"^hook\..*\.(command|event)$")
    hooks = dict.fromkeys([f"hook.{event}" for event in _EVENTS] + [name.rpartition(".")[0] for name in names])
    return [("core.hooksPath", "/dev/null"), *((f"{hook}.enabled", "false") for hook in hooks)]


def named_by(repo: Path, env: Mapping[str, str], pattern: str) -> Sequence[str]:
    """Return the names of the settings that match a pattern, in all that counts in `repo`, the environment too. Raises UsageError."""
    try:
        _, names, _ = Git.of_user(str(repo), env).answer("config", "-z", "--name-only", "--get-regexp", pattern, codes=(0, 1))
    except GitError as error:
        raise UsageError(f"git does not say how it is configured in {repo}: {error.detail}", f"git -C {repo} config --list") from error
    return [name for name in names.decode("utf-8", "surrogateescape").split("\0") if name]
