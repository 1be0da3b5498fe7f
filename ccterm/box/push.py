"""Pushes one commit, create-only or leased on the tip that the run started from, and verifies it by asking the remote.

The credential meets a git directory that is made here and now: of other ones only objects are used, which are known by their content.
"""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ccterm.box.frames import Frames, carry_out
from ccterm.git.bundle import take_bundle
from ccterm.git.errors import GitFault, detail_of, fault_of
from ccterm.git.git import GitError, as_git_error, scratch
from ccterm.git.objects import borrow_objects
from ccterm.git.remote import Remote

if TYPE_CHECKING:
    from ccterm.box.protocol import PushReport, PushRequest

_PAUSES = (0.5, 1.5, 4.0)
"""Seconds before each further attempt to ask the remote; the push itself is over by then."""
# as text: `re` compiles a pattern when it is first used, and a push that succeeds needs none
_LOST_RACE = r"stale info|fetch first|non-fast-forward|already exists|cannot lock ref|failed to update ref|incorrect old value"
_REASONS = (
    ("size", r"(?i)GH001|exceeds|too large|larger than|size limit"),
    ("refused", r"(?i)protected branch|GH006|GH013|rule violations|refusing to allow|workflow. scope|not allowed to (push|create)"),
    ("hook", r"hook declined|hook refused"),
)


def push(_frames: Frames, request: "PushRequest") -> "PushReport":
    """Carry out the request."""
    try:
        return _push(request, Remote.of(request))
    except (GitError, OSError) as error:
        fault = as_git_error(error)
        return {"ok": False, "reason": fault.reason, "detail": fault.detail, "verified": False, "remote_sha": None}


def _push(request: "PushRequest", remote: Remote) -> "PushReport":
    commit, ref = request["commit"], f"refs/heads/{request['branch']}"
    with _fresh_directory(request["clean"], request["bundle"], commit) as fresh:
        output = push_commit(remote, fresh, commit, ref, request["tip"])
    try:
        held = _ask(remote, ref)
    except GitError as error:
        fault = fault_of(output, error.detail) if output else GitFault(error.reason, error.detail)
        return {"ok": False, "reason": fault.reason, "detail": fault.detail, "verified": False, "remote_sha": None}
    if held == commit:
        return {"ok": True, "remote_sha": held, "verified": True}
    return _refused(output, request["tip"], held)


@contextlib.contextmanager
def _fresh_directory(clean: str, bundle: str, commit: str) -> Iterator[str]:
    """Yield a new git directory with the commit of a bundle in it, on top of the objects of another one. Raises GitError and OSError."""
    if os.path.lexists(os.path.join(clean, "objects", "info", "alternates")):
        raise GitError("git", "something else than ccterm has written to the run's git directory")
    git = scratch(f"push-{os.getpid()}.git", commit)
    assert git.directory
    try:
        borrow_objects(git, clean)
        take_bundle(git, bundle, commit)
        yield git.directory
    finally:
        shutil.rmtree(git.directory, ignore_errors=True)


def push_commit(remote: Remote, directory: str, commit: str, ref: str, tip: str | None) -> str:
    """Push and return git's messages; "" = success. Never forces: the lease is the only way to replace a tip."""
    settings = ("-c", "push.recurseSubmodules=no", "-c", "push.gpgSign=false")
    options = ("--porcelain", "--no-verify", "--no-follow-tags", f"--force-with-lease={ref}:{tip or ''}")
    code, listing, stderr = remote.git(directory).answer(*settings, "push", *options, "--", remote.url, f"{commit}:{ref}")
    if not code:
        return ""
    rejected = [line for line in listing.decode("utf-8", "replace").split("\n") if line.startswith("!")]
    return "\n".join([*rejected, stderr]) or f"git push ended with {code}"


def remote_sha(remote: Remote, ref: str) -> str | None:
    """Return the commit that a ref of the remote names, None when there is no such ref. Raises GitError."""
    return next((found.sha for found in remote.refs(ref) if found.name == ref), None)


def _ask(remote: Remote, ref: str) -> str | None:
    """Return what the remote holds now, asking again after network errors."""
    for pause in _PAUSES:
        try:
            return remote_sha(remote, ref)
        except GitError as error:
            if error.reason != "network":
                raise
            time.sleep(pause)
    return remote_sha(remote, ref)


def _refused(output: str, tip: str | None, held: str | None) -> "PushReport":
    reason = reason_of(output, tip, held)
    detail = detail_of(output.replace("\t", " ")) or "the remote does not hold the commit after the push"
    return {"ok": False, "reason": reason, "detail": detail, "remote_sha": held, "verified": False}


def reason_of(output: str, tip: str | None, held: str | None) -> str:
    """Return the reason of a push that failed: `held` is what the branch holds now, `tip` what it held before."""
    if re.search(_LOST_RACE, output) and held != tip:
        return "exists" if tip is None else "non_fast_forward"
    for reason, pattern in _REASONS:
        if re.search(pattern, output):
            return reason
    if "[remote rejected]" in output or "[rejected]" in output:
        return "refused"
    return fault_of(output, "").reason


def main() -> None:
    """Run as a step program."""
    carry_out(push)
