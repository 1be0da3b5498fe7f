"""Makes what a run starts from: a clean bare git directory that no agent ever sees, and a working tree for the agent."""

import os
import shutil
from typing import TYPE_CHECKING

from ccterm.box.checkout.mirror import Mirror, fetch, fetch_narrow
from ccterm.box.checkout.trees import make_clean, make_empty, make_tree
from ccterm.box.frames import Frames, carry_out
from ccterm.git.git import Git, GitError, as_git_error, init
from ccterm.git.remote import Remote

if TYPE_CHECKING:
    from ccterm.box.checkout.messages import CheckoutReport, CheckoutRequest

_TRIES = 3


def checkout(_frames: Frames, request: "CheckoutRequest") -> "CheckoutReport":
    """Carry out the request."""
    try:
        return _checkout(request)
    except (GitError, OSError) as error:
        fault = as_git_error(error)
        return {"ok": False, "reason": fault.reason, "detail": fault.detail}


def _checkout(request: "CheckoutRequest") -> "CheckoutReport":
    base = request["base"]
    if request.get("given"):
        return _from_given(request)
    if base is None:
        make_empty(request["clean"], request["tree"], request["branch"])
        return {"ok": True, "notes": [], "fetched": False}
    filling = _Filling(request, Remote.of(request), base)
    filling.fill()
    filling.bring_extras()
    return {"ok": True, "notes": filling.notes, "fetched": filling.fetched}


def _from_given(request: "CheckoutRequest") -> "CheckoutReport":
    """Make the tree from a clean git directory that the host made, and add the files that come along uncommitted."""
    base, include = request["base"], request.get("include")
    assert base is not None
    make_tree(Git(request["clean"]), request["tree"], base, request["branch"])
    if include:
        shutil.copytree(include, request["tree"], dirs_exist_ok=True)
    return {"ok": True, "notes": [], "fetched": False, "given": True}


class _Filling:
    """Fills both directories for one commit."""

    def __init__(self, request: "CheckoutRequest", remote: Remote, base: str) -> None:
        self._request, self._remote, self._base = request, remote, base
        self.notes: list[str] = []
        self.fetched = True

    def fill(self) -> None:
        """Make both directories. Raises GitError, OSError."""
        request = self._request
        depth, filter_spec, mirror = request.get("depth"), request.get("filter"), request["mirror"]
        if mirror is not None and not depth and filter_spec is None:
            self._through(Mirror(mirror, self._remote))
            return
        git = init(request["clean"], self._base, request["branch"])
        if depth or filter_spec is not None:
            self.notes += fetch_narrow(self._remote, request["clean"], self._base, request["ref"], depth=depth, filter_spec=filter_spec)
        else:
            fetch(self._remote, request["clean"], self._base)
        make_tree(git, request["tree"], self._base, request["branch"], request.get("default_branch"))

    def _through(self, mirror: Mirror) -> None:
        """Take everything from the mirror, or from a new one if this one turns out to be broken."""
        for left in reversed(range(_TRIES)):
            try:
                self._copy(mirror)
                return
            except (GitError, FileNotFoundError) as error:
                if not left or (isinstance(error, GitError) and error.reason != "git"):
                    raise
                if isinstance(error, GitError):  # otherwise it was only repacked, or remade, while we copied
                    mirror.forget()
            for name in (self._request["clean"], self._request["tree"]):
                shutil.rmtree(name, ignore_errors=True)

    def _copy(self, mirror: Mirror) -> None:
        request = self._request
        with mirror.holding(self._base, request.get("default_tip")) as (git, self.fetched):
            clean = make_clean(git, request["clean"], self._base, request["branch"])
        make_tree(clean, request["tree"], self._base, request["branch"], request.get("default_branch"))

    def bring_extras(self) -> None:
        """Bring submodules and LFS files, if requested. Raises GitError."""
        request = self._request
        if request.get("submodules"):
            from ccterm.box.checkout.submodules import SubmoduleCheckout  # deferred: most checkouts need none, and all wait for imports

            permitted = [self._remote.path, *request.get("submodule_paths", [])]
            submodules = SubmoduleCheckout(request["clean"], request["tree"], request["mirror"], self.notes, permitted)
            submodules.bring(Git(request["clean"]), self._base, self._remote)
        if request.get("lfs"):
            self.notes += smudge(request["tree"], self._base, self._remote)


def main() -> None:
    """Run as a step program."""
    carry_out(checkout)


_FILTER = {
    "filter.lfs.clean": "git-lfs clean -- %f",
    "filter.lfs.smudge": "git-lfs smudge -- %f",
    "filter.lfs.process": "git-lfs filter-process",
}


def smudge(tree: str, base: str, remote: Remote) -> list[str]:
    """Fetch the LFS files of `base` and put them in place; return notes. Raises GitError(lfs)."""
    if shutil.which("git-lfs") is None:
        return ["git-lfs is not installed: LFS files stay pointers"]
    config = {**_FILTER, "remote.origin.url": remote.url, "lfs.locksVerify": "false"}
    if remote.protocol in ("http", "https"):
        endpoint = f"{remote.url.rstrip('/').removesuffix('.git')}.git/info/lfs"
        config |= {"lfs.url": endpoint, **remote.at(endpoint)}  # takes precedence over .lfsconfig
    git = Git(os.path.join(tree, ".git"), work_tree=tree, env=remote.environment(config))
    try:
        git.run("-C", tree, "lfs", "fetch", "origin", base)
        git.run("-C", tree, "lfs", "checkout")
    except GitError as error:
        raise GitError("lfs", f"the LFS files cannot be fetched: {error.detail}", error.stderr) from error
    for name, value in _FILTER.items():  # so that the agent's git knows these files as LFS files
        Git(os.path.join(tree, ".git")).run("config", name, value)
    return []
