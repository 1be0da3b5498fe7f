"""Asks a remote once what a run starts from: the branch's own tip if it exists, else the requested base, else the default branch."""

import re

from ccterm.box.frames import Frames, carry_out
from ccterm.box.protocol import ResolveReport, ResolveRequest
from ccterm.git.git import GitError
from ccterm.git.remote import Remote

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HEADS, _TAGS = "refs/heads/", "refs/tags/"


class RemoteRefs:
    """What a remote listed: full ref name -> sha (for a tag, of what it names), and the ref that HEAD names."""

    def __init__(self) -> None:
        self.shas: dict[str, str] = {}
        self.head: str | None = None

    @property
    def default_branch(self) -> str | None:
        """Return the default branch; an old server does not name it, and then its sha tells."""
        if self.head is None and (sha := self.shas.get("HEAD")):
            same = [ref for ref, other in self.shas.items() if other == sha and ref.startswith(_HEADS)]
            self.head = min(same, key=lambda ref: (ref not in (_HEADS + "main", _HEADS + "master"), ref), default=None)
        return self.head.removeprefix(_HEADS) if self.head else None

    def names(self) -> list[str]:
        """Return the names of branches and tags, without their prefixes."""
        return [ref.split("/", 2)[2] for ref in self.shas if ref.startswith((_HEADS, _TAGS))]

    def find(self, name: str) -> tuple[str, str] | None:
        """Return (ref, sha) of a branch, a tag or a full ref."""
        candidates = (_HEADS + name, _TAGS + name, name if name.startswith("refs/") else "")
        return next(((ref, self.shas[ref]) for ref in candidates if ref in self.shas), None)


def list_refs(remote: Remote) -> RemoteRefs:
    """List a remote's refs. Raises GitError."""
    refs = RemoteRefs()
    for ref in remote.refs(symref=True):
        if ref.sha.startswith("ref: "):
            refs.head = ref.sha.removeprefix("ref: ") if ref.name == "HEAD" else refs.head
        else:
            refs.shas[ref.name.removesuffix("^{}")] = ref.sha  # the commit of a tag comes right after the tag itself
    return refs


def resolve(_frames: Frames, request: ResolveRequest) -> ResolveReport:
    """Carry out the request."""
    try:
        refs = list_refs(Remote.of(request))
        ref, base = _start(refs, request["branch"], request["base"])
    except GitError as error:
        return {"ok": False, "reason": error.reason, "detail": error.detail}
    tip = refs.shas.get(_HEADS + request["branch"])
    default = refs.default_branch
    newest = refs.shas.get(_HEADS + default) if default else None
    return {"ok": True, "base": base, "ref": ref, "tip": tip, "default_branch": default, "default_tip": newest}


def _start(refs: RemoteRefs, branch: str, base: str | None) -> tuple[str | None, str | None]:
    if tip := refs.shas.get(_HEADS + branch):
        return _HEADS + branch, tip
    _refuse_overlap(refs, branch)
    if base is not None:
        return _named(refs, base)
    if not refs.shas:
        return None, None
    if (default := refs.default_branch) is None or (sha := refs.shas.get(_HEADS + default)) is None:
        head = f"the remote's HEAD names {default}, which does not exist" if default else "the remote has no default branch"
        raise GitError("no_base", f"{head}; give --base{_some_of(refs)}")
    return _HEADS + default, sha


def _named(refs: RemoteRefs, base: str) -> tuple[str | None, str]:
    if found := refs.find(base):
        return found
    if _SHA.fullmatch(base):
        return None, base
    if base == "HEAD" and refs.default_branch in refs.names():
        return _start(refs, "", None)[0], refs.shas["HEAD"]
    raise GitError("no_base", f"the remote has no branch or tag {base!r}{_near(refs, base)}")


def _refuse_overlap(refs: RemoteRefs, branch: str) -> None:
    """Refuse a branch named like a directory of branches, or below another branch: the push would fail after the work is done."""
    parts = branch.split("/")
    above = ["/".join(parts[:end]) for end in range(1, len(parts))]
    taken = [name for name in above if _HEADS + name in refs.shas]
    taken += [ref.removeprefix(_HEADS) for ref in refs.shas if branch and ref.startswith(f"{_HEADS}{branch}/")][:1]
    if taken:
        raise GitError("name", f"the remote has a branch {taken[0]!r}, so there can be none named {branch!r}; choose another name")


def _near(refs: RemoteRefs, name: str) -> str:
    import difflib  # seldom needed, and slow to load

    close = difflib.get_close_matches(name, refs.names(), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else _some_of(refs)


def _some_of(refs: RemoteRefs) -> str:
    branches = sorted(ref.removeprefix(_HEADS) for ref in refs.shas if ref.startswith(_HEADS))
    more = ", …" if len(branches) > 5 else ""
    return f"; it has {', '.join(branches[:5])}{more}" if branches else "; it has no branches at all"


def main() -> None:
    """Run as a step program."""
    carry_out(resolve)
