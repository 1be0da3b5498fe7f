"""What a remote lists, and what a run starts from: the branch's own tip if it exists, else the requested base, else the default branch."""

import re
from typing import NamedTuple

from ccterm.git.git import GitError
from ccterm.git.refs import HEADS, TAGS, parse_refs

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class RemoteRefs:
    """What a remote listed: full ref name -> sha (for a tag, of what it names), and the ref that HEAD names."""

    def __init__(self) -> None:
        self.shas: dict[str, str] = {}
        self.head: str | None = None

    @property
    def default_branch(self) -> str | None:
        """Return the default branch; an old server does not name it, and then its sha tells."""
        if self.head is None and (sha := self.shas.get("HEAD")):
            same = [ref for ref, other in self.shas.items() if other == sha and ref.startswith(HEADS)]
            self.head = min(same, key=lambda ref: (ref not in (HEADS + "main", HEADS + "master"), ref), default=None)
        return self.head.removeprefix(HEADS) if self.head else None

    def names(self) -> list[str]:
        """Return the names of branches and tags, without their prefixes."""
        return [ref.split("/", 2)[2] for ref in self.shas if ref.startswith((HEADS, TAGS))]

    def find(self, name: str) -> tuple[str, str] | None:
        """Return (ref, sha) of a branch, a tag or a full ref."""
        candidates = (HEADS + name, TAGS + name, name if name.startswith("refs/") else "")
        return next(((ref, self.shas[ref]) for ref in candidates if ref in self.shas), None)


class Start(NamedTuple):
    """What a run starts from."""

    base: str | None
    """Sha; None = the repository is empty."""
    ref: str | None
    """Full name of the ref that `base` was read from; None when it was given as a sha."""
    tip: str | None
    """Sha of the run's branch; None = it does not exist yet."""
    default_branch: str | None
    default_tip: str | None
    """Sha of the default branch; None when it has none."""


def read_listing(listing: bytes) -> RemoteRefs:
    """Read what `git ls-remote --symref` printed."""
    refs = RemoteRefs()
    for ref in parse_refs(listing):
        if ref.sha.startswith("ref: "):
            refs.head = ref.sha.removeprefix("ref: ") if ref.name == "HEAD" else refs.head
        else:
            refs.shas[ref.name.removesuffix("^{}")] = ref.sha  # the commit of a tag comes right after the tag itself
    return refs


def start_of(refs: RemoteRefs, branch: str, base: str | None) -> Start:
    """Return what a run on a branch starts from. Raises GitError: no_base, or name when the branch's name collides with another's."""
    ref, sha = _start(refs, branch, base)
    default = refs.default_branch
    return Start(sha, ref, refs.shas.get(HEADS + branch), default, refs.shas.get(HEADS + default) if default else None)


def _start(refs: RemoteRefs, branch: str, base: str | None) -> tuple[str | None, str | None]:
    if tip := refs.shas.get(HEADS + branch):
        return HEADS + branch, tip
    _refuse_overlap(refs, branch)
    if base is not None:
        return _named(refs, base)
    if not refs.shas:
        return None, None
    if (default := refs.default_branch) is None or (sha := refs.shas.get(HEADS + default)) is None:
        head = f"the remote's HEAD names {default}, which does not exist" if default else "the remote has no default branch"
        raise GitError("no_base", f"{head}{_some_of(refs)}; give --base")
    return HEADS + default, sha


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
    taken = [name for name in above if HEADS + name in refs.shas]
    taken += [ref.removeprefix(HEADS) for ref in refs.shas if branch and ref.startswith(f"{HEADS}{branch}/")][:1]
    if taken:
        raise GitError("name", f"the remote has a branch {taken[0]!r}, so there can be none named {branch!r}; choose another name")


def _near(refs: RemoteRefs, name: str) -> str:
    import difflib  # seldom needed, and slow to load

    close = difflib.get_close_matches(name, refs.names(), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else _some_of(refs)


def _some_of(refs: RemoteRefs) -> str:
    branches = sorted(ref.removeprefix(HEADS) for ref in refs.shas if ref.startswith(HEADS))
    more = ", …" if len(branches) > 5 else ""
    return f"; it has {', '.join(branches[:5])}{more}" if branches else "; it has no branches at all"
