"""Checks a run's work out beside the user's repository, to be looked at: no program of the work runs for that.

The user's configuration may name programs inside the tree (hooks, filters); in a worktree of an agent's commit these are the agent's.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ccterm.errors import UsageError
from ccterm.git.git import Git
from ccterm.git.names import shown
from ccterm.git.tree import read_tree
from ccterm.workspace.fetch import named_by, no_hooks, run_git
from ccterm.workspace.obeyed import obeyed_below
from ccterm.workspace.origin import ask

_SAFE = (("core.fsmonitor", "false"), ("submodule.recurse", "false"))


def check_out(repo: Path, ref: str, base: str | None, worktree: Path, env: Mapping[str, str]) -> Sequence[str]:
    """Check a fetched ref out in the new directory `worktree`; return what git obeys there that the work changed.

    No hook runs. Filters do, such as that of LFS, unless something obeyed was changed. base: the commit that the work is based on, if
    `repo` has it. Raises UsageError.
    """
    if worktree.exists():
        raise UsageError(f"{worktree} exists already", "give --worktree a new directory")
    where = str(worktree.absolute())
    git = Git.of_user(str(repo), env, *no_hooks(repo, env))
    words = ("--quiet", "--no-checkout", "--detach", where, ref)
    run_git(git, repo, "worktree", "add", *words, fix="give another --worktree")
    changed = _changed(Git.inspecting(str(repo), env), ref, base)
    obeyed = [shown(path) for path in obeyed_below(*_places(repo, env), env, changed)]
    settings = (*no_hooks(worktree, env), *_SAFE, *(_without_programs(worktree, env) if obeyed else ()))
    run_git(Git.of_user(where, env, *settings), worktree, "read-tree", "--reset", "-u", "HEAD", fix=f"look at it with git show {ref}")
    return obeyed


def _places(repo: Path, env: Mapping[str, str]) -> tuple[Path, Sequence[Path]]:
    """Return the top of the repository, or its git directory when it is bare, and its git directories."""
    found = [ask(repo, env, "rev-parse", question) for question in ("--git-common-dir", "--absolute-git-dir", "--show-toplevel")]
    directories = [Path(os.path.realpath(repo / path)) for path in found[:2] if path]
    return Path(found[2]) if found[2] else directories[0], directories


def _changed(git: Git, ref: str, base: str | None) -> list[bytes]:
    """Return the paths that the work changed, or all of its tree where the base is not there."""
    if base and git.succeeds("cat-file", "-e", f"{base}^{{commit}}"):
        return git.fields("diff-tree", "-r", "-z", "--name-only", "--no-renames", base, ref)
    return list(read_tree(git, ref))


def _without_programs(repo: Path, env: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return settings under which no filter runs, and under which no remote is reached: the program for that may be named, too."""
    filters = dict.fromkeys(name.rpartition(".")[0] for name in named_by(repo, env, r"^filter\..*"))
    off = (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false"))
    return [("protocol.allow", "never"), *((f"{name}.{part}", value) for name in filters for part, value in off)]
