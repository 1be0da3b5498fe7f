"""Gives the agent's tree the name of its branch: one checkout serves all branches that start at one commit, so it cannot have it yet."""

import subprocess
from collections.abc import Mapping

from ccterm.inside import child

_RENAME = 'git branch -M "$1" || git symbolic-ref HEAD "refs/heads/$1"'
"""The second is for a repository without a commit in a git that cannot rename its branch."""
_SECONDS = 20.0


def name_branch(tree: str, name: str, *, env: Mapping[str, str], mark: str, user: str | None) -> str:
    """Rename the current branch, as the agent's own user. Returns why it could not be done, or ""."""
    try:
        command = ["sh", "-c", _RENAME, "sh", name]
        git = child.start(command, cwd=tree, env={**env, "GIT_CONFIG_GLOBAL": "/dev/null"}, mark=mark, user=user, talk=False)
        _, words = git.process.communicate(timeout=_SECONDS)
    except (child.StartError, subprocess.TimeoutExpired) as error:
        return str(error)
    return words.decode("utf-8", "replace").strip() if git.process.returncode else ""
