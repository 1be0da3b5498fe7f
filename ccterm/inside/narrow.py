"""Fetches less than everything: a shallow history, or a partial one whose base is whole, so that no later step needs the network."""

from ccterm.inside.git import Git, GitError
from ccterm.inside.mirror import holds, not_given
from ccterm.inside.remote import Remote

_FILLS = 64
"""Rounds of asking for what is missing; each brings at least one more level of the tree."""


def fetch_narrow(remote: Remote, clean: str, base: str, ref: str | None, *, depth: int | None, filter_spec: str | None) -> list[str]:
    """Fetch `base` into an empty git directory and return notes. Raises GitError."""
    git = remote.git(clean)
    options = [f"--depth={depth}"] if depth else []
    if filter_spec is None:
        _fetch(git, base, ref, remote.url, options)
        return []
    promisor = {"remote.origin.url": remote.url, "remote.origin.promisor": "true", "remote.origin.partialCloneFilter": filter_spec}
    git = Git(clean, env=remote.environment(promisor) | {"GIT_NO_LAZY_FETCH": "0"})  # by environment: nothing of it stays in the directory
    said = _fetch(git, base, ref, "origin", [*options, f"--filter={filter_spec}"])
    _fill(git, base)
    return ["the remote does not filter; everything was fetched"] if "filtering not recognized" in said else []


def _fetch(git: Git, base: str, ref: str | None, source: str, options: list[str]) -> str:
    said = ""
    for wanted in (base, ref):  # a server may refuse to give out a commit by its name
        if wanted is not None:
            _, _, said = git.answer("fetch", "--quiet", "--no-tags", *options, "--", source, wanted)
            if holds(git, base):
                return said
    raise not_given(base, said)


def _fill(git: Git, base: str) -> None:
    """Fetch every object of the base's tree that the filter left out."""
    plain = ("-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags", "--recurse-submodules=no", "--filter=blob:none")
    for _ in range(_FILLS):
        listing = git.run("rev-list", "--objects", "--no-walk", "--missing=print", base)
        if not (missing := [line[1:] for line in listing.splitlines() if line.startswith(b"?")]):
            return
        git.run(*plain, "--stdin", "origin", stdin=b"\n".join(missing) + b"\n")
    raise GitError("git", "the remote's partial history cannot be filled")
