"""Makes the bundles that carry an agent's work."""

import os
from collections.abc import Collection, Sequence

from ccterm.git.git import Git


def write_bundle(git: Git, to: str, refs: Sequence[str], known: Collection[str]) -> None:
    """Write a bundle of everything that `refs` reach and `known` does not. Raises GitError.

    git: a git directory of ours that holds all of it. refs: full names of refs in it, which the bundle gets under the same names; at least
    one must reach something new. known: commits that whoever reads the bundle has already; with none it is complete in itself.

    Nothing here depends on the commit step: a checkpoint of an agent that still works is the same bundle, with the last checkpoint's
    commit among `known`, made in a copy of the clean git directory that the agent cannot write.
    """
    git.run("bundle", "create", "--quiet", os.path.abspath(to), *refs, *(f"^{sha}" for sha in known))  # not --stdin: git before 2.31
