"""Pushes one commit, create-only or leased on the tip that the run started from, and proves it by asking the remote what it holds."""

import re
import time

from ccterm.box.protocol import Frames, PushReport, PushRequest, carry_out
from ccterm.git.errors import Fault, detail_of, fault_of
from ccterm.git.fsck import check_objects
from ccterm.git.git import WORK_REF, Git, GitError, as_git_error
from ccterm.git.remote import Remote

_PATIENCE = 90.0
_PAUSES = (0.5, 1.5, 4.0)
"""Seconds before each further try to learn what the remote holds; the push itself is done by then."""
_LOST_RACE = re.compile(r"stale info|fetch first|non-fast-forward|already exists|cannot lock ref|failed to update ref|incorrect old value")
_HOOK = re.compile(r"hook declined|hook refused")
_PROTECTED = re.compile(
    r"protected branch|GH006|GH013|rule violations|refusing to allow|workflow. scope|not allowed to (push|create)", re.IGNORECASE
)
_SIZE = re.compile(r"GH001|exceeds|too large|larger than|size limit", re.IGNORECASE)


def push(_frames: Frames, request: PushRequest) -> PushReport:
    """Carry out the request."""
    try:
        return _push(request, Remote.of(request))
    except (GitError, OSError) as error:
        fault = as_git_error(error)
        return {"ok": False, "reason": fault.reason, "detail": fault.detail, "verified": False, "remote_sha": None}


def _push(request: PushRequest, remote: Remote) -> PushReport:
    commit, ref = request["commit"], f"refs/heads/{request['branch']}"
    if bundle := request.get("bundle"):
        import_bundle(Git(request["clean"]), bundle, commit)
    said = push_commit(remote, request["clean"], commit, ref, request["tip"])
    try:
        held = _settled(remote, ref)
    except GitError as error:
        fault = fault_of(said, error.detail) if said else Fault(error.reason, error.detail)
        return {"ok": False, "reason": fault.reason, "detail": fault.detail, "verified": False, "remote_sha": None}
    if held == commit:
        return {"ok": True, "remote_sha": held, "verified": True}
    return _refused(said, request["tip"], held)


def push_commit(remote: Remote, clean: str, commit: str, ref: str, tip: str | None) -> str:
    """Push and return what git said; "" = it said that all is well. Never forces: the lease is the only way past what is there."""
    settings = ("-c", "push.recurseSubmodules=no", "-c", "push.gpgSign=false")
    options = ("--porcelain", "--no-verify", "--no-follow-tags", f"--force-with-lease={ref}:{tip or ''}")
    code, listing, said = remote.git(clean).answer(*settings, "push", *options, "--", remote.url, f"{commit}:{ref}")
    if not code:
        return ""
    verdicts = [line for line in listing.decode("utf-8", "replace").splitlines() if line.startswith("!")]
    return "\n".join([*verdicts, said]) or f"git push ended with {code}"


def remote_sha(remote: Remote, ref: str) -> str | None:
    """Return what a ref of the remote holds. Raises GitError."""
    listing = remote.git().run("ls-remote", "--", remote.url, ref, timeout=_PATIENCE).decode("utf-8", "replace")
    return next((sha for sha, _, name in (line.partition("\t") for line in listing.splitlines()) if name == ref), None)


def _settled(remote: Remote, ref: str) -> str | None:
    for pause in _PAUSES:
        try:
            return remote_sha(remote, ref)
        except GitError as error:
            if error.reason != "network":
                raise
            time.sleep(pause)
    return remote_sha(remote, ref)


def import_bundle(git: Git, bundle: str, commit: str) -> None:
    """Take a commit from a bundle; nothing of it counts before it was checked. Raises GitError."""
    git.run("bundle", "verify", "--quiet", bundle)
    Git(git.directory, env={"GIT_ALLOW_PROTOCOL": "file"}).run("fetch", "--quiet", "--no-tags", "--", bundle, f"+{WORK_REF}:{WORK_REF}")
    if git.text("rev-parse", "--verify", WORK_REF) != commit:
        raise GitError("git", f"the bundle does not hold commit {commit}")
    if complaints := check_objects(git, commit, _built_on(bundle)):
        raise GitError("git", f"the bundle holds objects that git finds faulty: {complaints[0].text}")


def _built_on(bundle: str) -> list[str]:
    """Return the commits that a bundle asks for; git has verified that they were there before."""
    with open(bundle, "rb") as file:
        header = iter(lambda: file.readline(4096).rstrip(b"\n"), b"")
        return [line[1:].split(b" ")[0].decode() for line in header if line.startswith(b"-")]


def _refused(said: str, tip: str | None, held: str | None) -> PushReport:
    reason = reason_of(said, tip, held)
    detail = detail_of(said.replace("\t", " ")) or "the remote does not hold the commit after the push"
    return {"ok": False, "reason": reason, "detail": detail, "remote_sha": held, "verified": False}


def reason_of(said: str, tip: str | None, held: str | None) -> str:
    """Return the reason of a push that failed: `held` is what the branch holds now, `tip` what it held before."""
    if _LOST_RACE.search(said) and held != tip:
        return "exists" if tip is None else "non_fast_forward"
    for reason, pattern in (("size", _SIZE), ("refused", _PROTECTED), ("hook", _HOOK)):
        if pattern.search(said):
            return reason
    if "[remote rejected]" in said or "[rejected]" in said:
        return "refused"
    return fault_of(said, "").reason


def main() -> None:
    """Run as a step program."""
    carry_out(push)
