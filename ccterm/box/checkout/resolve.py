"""Asks a remote once what a run starts from. The host asks it itself where it can; this is for remotes that only a box can reach."""

from typing import TYPE_CHECKING

from ccterm.box.frames import Frames, carry_out
from ccterm.git.git import GitError
from ccterm.git.listing import read_listing, start_of
from ccterm.git.remote import Remote

if TYPE_CHECKING:
    from ccterm.box.checkout.messages import ResolveReport, ResolveRequest


def resolve(_frames: Frames, request: "ResolveRequest") -> "ResolveReport":
    """Carry out the request."""
    try:
        remote = Remote.of(request)
        refs = read_listing(remote.list_all())
        start = start_of(refs, request["branch"], request["base"])
    except GitError as error:
        return {"ok": False, "reason": error.reason, "detail": error.detail}
    return {
        "ok": True,
        "base": start.base,
        "ref": start.ref,
        "tip": start.tip,
        "default_branch": start.default_branch,
        "default_tip": start.default_tip,
    }


def main() -> None:
    """Run as a step program."""
    carry_out(resolve)
