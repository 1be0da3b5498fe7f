"""Turns LFS pointers in a fresh tree into the files they stand for, where git-lfs is installed."""

import os
import shutil

from ccterm.inside.git import Git, GitError
from ccterm.inside.remote import Remote

_FILTER = {
    "filter.lfs.clean": "git-lfs clean -- %f",
    "filter.lfs.smudge": "git-lfs smudge -- %f",
    "filter.lfs.process": "git-lfs filter-process",
}


def smudge(tree: str, base: str, remote: Remote) -> list[str]:
    """Fetch and put in place the LFS files of `base`; return notes. Raises GitError(lfs)."""
    if shutil.which("git-lfs") is None:
        return ["git-lfs is not installed: LFS files stay pointers"]
    config = {**_FILTER, "remote.origin.url": remote.url, "lfs.locksVerify": "false"}
    if remote.protocol in ("http", "https"):
        config["lfs.url"] = f"{remote.url.rstrip('/').removesuffix('.git')}.git/info/lfs"  # before what .lfsconfig says
    git = Git(os.path.join(tree, ".git"), work_tree=tree, env=remote.environment(config))
    try:
        git.run("-C", tree, "lfs", "fetch", "origin", base)
        git.run("-C", tree, "lfs", "checkout")
    except GitError as error:
        raise GitError("lfs", f"the LFS files cannot be fetched: {error.detail}", error.stderr) from error
    for name, value in _FILTER.items():  # so that the agent's git knows the files for what they are
        Git(os.path.join(tree, ".git")).run("config", name, value)
    return []
